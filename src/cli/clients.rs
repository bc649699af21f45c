//! `kakao-auth clients new`

use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};

use crate::domain::ClientSecret;
use crate::domain::redirect::RedirectUri;
use crate::keys::random;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Prints the settings of a new client, with a fresh secret if it can keep one.
    New(Options),
}

#[derive(Args)]
pub(super) struct Options {
    /// The `client_id`.
    #[arg(long)]
    id: String,
    /// Whether it can keep a secret.
    #[arg(long, value_enum, default_value_t = Kind::Public)]
    r#type: Kind,
    /// Where its codes go; repeatable.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Public,
    Confidential,
}

pub(super) fn run(Command::New(options): &Command) -> anyhow::Result<()> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'"' | b'\\');
    if options.id.is_empty() || options.id.len() > 128 || !options.id.bytes().all(fits) {
        bail!("--id must have 1 to 128 printable ASCII characters, without spaces, colons and quotes");
    }
    if options.redirect_uris.is_empty() {
        bail!("--redirect-uri is missing: say where the client's codes go");
    }
    for uri in &options.redirect_uris {
        if let Err(why) = RedirectUri::register(uri) {
            bail!("--redirect-uri {uri}: {why}");
        }
    }
    let secret = match options.r#type {
        Kind::Public => None,
        Kind::Confidential => {
            Some(ClientSecret::new(format!("kacs_{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
        }
    };
    println!("# Put this into the settings file:\n");
    println!("[[clients]]\nid = \"{}\"", options.id);
    println!("type = \"{}\"", if secret.is_some() { "confidential" } else { "public" });
    if let Some(secret) = &secret {
        println!("secret_sha256 = [\"{}\"]", secret.fingerprint().to_hex());
    }
    println!("redirect_uris = {:?}", options.redirect_uris);
    if let Some(secret) = &secret {
        println!("\n# Give this to the client. It is not kept anywhere, so it cannot be shown again:");
        println!("# client_secret = {}", secret.reveal());
    }
    Ok(())
}
