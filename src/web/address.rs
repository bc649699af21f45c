//! Where a request comes from: the peer, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header;
use ipnet::IpNet;

/// Who is connected. An IPv4 address that a socket for both families shows as IPv6 is one all the same.
fn peer(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical())
}

fn is_trusted(address: &IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The caller's address. The header is walked from the right, past the proxies that are trusted; the first other address is
/// the caller's.
pub(super) fn address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = peer(request);
    if !is_trusted(&peer, trusted) {
        return peer;
    }
    let forwarded =
        request.headers().get_all(header::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut caller = peer;
    for hop in hops.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        caller = address.to_canonical();
        if !is_trusted(&caller, trusted) {
            break;
        }
    }
    caller
}

/// The peer, if it forwards for others and is not trusted: what it says is not believed, so everybody behind it is one caller.
pub(super) fn unlisted_proxy(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let headers = request.headers();
    if !headers.contains_key(header::X_FORWARDED_FOR) && !headers.contains_key(header::FORWARDED) {
        return None;
    }
    Some(peer(request)).filter(|peer| !is_trusted(peer, trusted))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The caller's address of a request from `peer` with these `X-Forwarded-For` headers, where these networks are trusted.
    fn address_of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let request =
            TestRequest::default().peer_addr(std::net::SocketAddr::new(peer.parse().unwrap(), 4_711));
        let request = forwarded
            .iter()
            .fold(request, |request, value| request.append_header(("X-Forwarded-For", *value)));
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        address(&request.to_http_request(), &trusted).to_string()
    }

    #[test]
    fn what_a_stranger_says_of_the_address_is_not_believed() {
        for forwarded in [&[][..], &["198.51.100.7"], &["198.51.100.7, 10.0.0.1"]] {
            assert_eq!(address_of("203.0.113.9", forwarded, &["10.0.0.0/8"]), "203.0.113.9");
            assert_eq!(address_of("203.0.113.9", forwarded, &[]), "203.0.113.9");
        }
    }

    #[test]
    fn behind_trusted_proxies_the_caller_is_the_first_from_the_right_that_is_none_of_them() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (forwarded, caller) in [
            // One proxy.
            (&["198.51.100.7"][..], "198.51.100.7"),
            // The caller has written a header of its own: the left-most word is not a proxy's.
            (&["192.0.2.66, 198.51.100.7"], "198.51.100.7"),
            (&["192.0.2.66", "198.51.100.7"], "198.51.100.7"),
            // Two proxies; the header in one line or in two, with or without spaces.
            (&["192.0.2.66, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            (&["192.0.2.66", "198.51.100.7,10.0.0.2"], "198.51.100.7"),
            (&["198.51.100.7", "fd00::2"], "198.51.100.7"),
            (&["2001:db8::7, fd00::2"], "2001:db8::7"),
            // Nobody but proxies: the outermost of them.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // What is no address ends the walk at the proxy that wrote it.
            (&["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["198.51.100.7:4711"], "10.0.0.1"),
            (&["::ffff:198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(address_of("10.0.0.1", forwarded, &trusted), caller, "{forwarded:?}");
        }
    }

    #[test]
    fn a_peer_that_a_socket_for_both_families_shows_is_the_ipv4_one() {
        assert_eq!(address_of("::ffff:10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(address_of("::ffff:203.0.113.9", &["198.51.100.7"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_proxy_that_is_not_listed_shows_itself_by_what_it_forwards() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, name, unlisted) in [
            ("172.18.0.2", "X-Forwarded-For", true),
            ("172.18.0.2", "Forwarded", true),
            ("172.18.0.2", "Accept", false),
            ("10.0.0.1", "X-Forwarded-For", false),
            ("::ffff:10.0.0.1", "Forwarded", false),
        ] {
            let request = TestRequest::default().insert_header((name, "for=192.0.2.1"));
            let request =
                request.peer_addr(std::net::SocketAddr::new(peer.parse().unwrap(), 1)).to_http_request();
            assert_eq!(unlisted_proxy(&request, &trusted).is_some(), unlisted, "{peer} {name}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    /// No header moves the address of a caller whose peer is not a trusted proxy, or makes it one of the proxies' own.
    #[test]
    fn forwarded_address() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(header) = HeaderValue::from_bytes(bytes) else { return };
            let from = |peer: &str| {
                let request = TestRequest::default()
                    .insert_header(("x-forwarded-for", header.clone()))
                    .peer_addr(peer.parse().unwrap())
                    .to_http_request();
                address(&request, &trusted)
            };
            assert_eq!(from("192.0.2.1:9").to_string(), "192.0.2.1");
            from("10.0.0.1:9");
        });
    }
}
