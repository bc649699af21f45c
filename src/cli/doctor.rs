//! `kakao-auth doctor`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::runtime::block_on;
use crate::cache::Cache;
use crate::domain::{Clock, Locale};
use crate::flow::doctor::{Check, Environment, Level, diagnose};
use crate::kakao::Kakao;
use crate::notify::Notifier;
use crate::settings::Settings;
use crate::store::Pool;

#[derive(Args)]
pub(super) struct Options {
    /// For scripts: one JSON object a finding.
    #[arg(long)]
    json: bool,
    /// ko or en; as the terminal's language unless named.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<String>,
    /// An address under which a backend service reaches the service, such as <http://kakao-auth:8080>; repeatable.
    #[arg(long, value_name = "URL")]
    backend_url: Vec<String>,
}

pub(super) fn run(options: &Options, settings: &Settings) -> anyhow::Result<ExitCode> {
    let checks = block_on(async {
        let mut db = Pool::connect_lazy(settings.database.url.reveal(), 1)?.handle();
        let environment = Environment {
            cache: &Cache::open(settings.cache.url.reveal(), Clock::System)?,
            kakao: &Kakao::new(settings.kakao.clone(), Clock::System)?,
            notifier: &Notifier::new()?,
            issuer: settings.policy.issuer.as_str(),
            trusted_proxies: &settings.server.trusted_proxies,
            scopes: &settings.kakao.scopes,
            has_secret: settings.kakao.client_secret.is_some(),
            backends: &options.backend_url,
        };
        Ok(diagnose(&environment, &mut db).await)
    })?;
    let locale = locale(options);
    let works = checks.iter().flat_map(|check| &check.findings).all(|finding| finding.level != Level::Fault);
    if options.json {
        print_json(&checks, works);
    } else {
        print(&checks, locale, works);
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn locale(options: &Options) -> Locale {
    let language = options.lang.clone().or_else(|| {
        let variables: Vec<(String, String)> = Settings::environment().collect();
        let named = |name: &str| variables.iter().find(|(given, value)| given == name && !value.is_empty());
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(named).map(|(_, value)| value.clone())
    });
    if language.is_some_and(|language| language.starts_with("ko")) { Locale::Ko } else { Locale::En }
}

fn print(checks: &[Check], locale: Locale, works: bool) {
    for check in checks {
        if check.findings.is_empty() {
            println!("ok       {}", check.name);
        }
        for finding in &check.findings {
            let level = if finding.level == Level::Fault { "FAULT  " } else { "warning" };
            println!("{level}  {}: {}", check.name, finding.id);
            println!("         {}", finding.sentence(locale));
            println!("         {}: {}", locale.pick("조치할 사람", "to act"), finding.actor.label(locale));
        }
    }
    let verdict = if works {
        locale.pick("로그인할 수 있어요.", "A login can work.")
    } else {
        locale.pick("지금은 로그인할 수 없어요.", "A login cannot work.")
    };
    println!("{verdict}");
}

fn print_json(checks: &[Check], works: bool) {
    for check in checks {
        for finding in &check.findings {
            let level = if finding.level == Level::Fault { "fault" } else { "warning" };
            println!(
                "{}",
                json!({
                    "check": check.name, "id": finding.id, "level": level, "actor": finding.actor.name(),
                    "en": finding.sentence(Locale::En), "ko": finding.sentence(Locale::Ko),
                })
            );
        }
    }
    println!("{}", json!({ "login_can_work": works }));
}
