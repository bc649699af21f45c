//! `kakao-auth health`: the health check of the container, which has no other program.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::settings::Settings;

const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    let bind = settings.server.bind;
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, bind.port());
    let path = format!("{}/health/ready", settings.policy.issuer.path());
    let status = ask(address, &path).with_context(|| format!("nothing answers at {address}"))?;
    if status != "200" {
        bail!("{path} answers {status}");
    }
    println!("ready");
    Ok(())
}

/// The status of a GET. One request to ourselves needs no client library.
fn ask(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.take(4_096).read_to_string(&mut reply)?;
    Ok(reply.split(' ').nth(1).unwrap_or("nothing").to_owned())
}
