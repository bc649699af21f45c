//! The settings: three layers, every key, and every bad value named with what to write instead.

use std::collections::BTreeMap;
use std::time::Duration;

use kakao_auth::domain::SigningAlg;
use kakao_auth::settings::{DEFAULTS, Settings};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The variables of a service that starts.
fn variables(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = BTreeMap::from([
        ("SERVER__PUBLIC_URL", "https://auth.example.com"),
        ("DATABASE__URL", "postgres://u:p@db/kakao_auth"),
        ("CACHE__URL", "redis://cache"),
        ("SECRETS__MASTER_KEY", KEY),
        ("KAKAO__CLIENT_ID", "0123456789abcdef0123456789abcdef"),
    ]);
    variables.extend(changes.iter().copied());
    variables.into_iter().map(|(name, value)| (format!("KAKAO_AUTH__{name}"), value.to_owned())).collect()
}

fn load(changes: &[(&str, &str)]) -> Result<Settings, String> {
    Settings::load(None, variables(changes)).map_err(|problems| problems.to_string())
}

/// The problems of a service that has this client.
fn with_client(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(Some(&file), variables(&[])).map_err(|problems| problems.to_string())
}

#[test]
fn the_least_that_is_needed_is_five_keys() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.server.bind.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.policy.longest_access_token, Duration::from_mins(10));
    assert_eq!(settings.keys.algorithms, [SigningAlg::Es256, SigningAlg::Rs256]);
    for missing in
        ["SERVER__PUBLIC_URL", "DATABASE__URL", "CACHE__URL", "SECRETS__MASTER_KEY", "KAKAO__CLIENT_ID"]
    {
        let said = load(&[(missing, "")]).unwrap_err();
        assert!(said.contains("1 problem") && said.contains(&format!("KAKAO_AUTH__{missing}")), "{said}");
    }
}

#[test]
fn every_bad_value_is_named_with_what_to_write_instead() {
    for (variable, value, sentence) in [
        ("SERVER__BIND", "8080", "0.0.0.0:8080"),
        ("SERVER__MANAGEMENT_BIND", "localhost", "address:port"),
        ("SERVER__PUBLIC_URL", "auth.example.com", "it is not a URL"),
        ("SERVER__PUBLIC_URL", "ftp://auth.example.com", "https://"),
        ("SERVER__PUBLIC_URL", "http://auth.example.com", "use https"),
        ("SERVER__PUBLIC_URL", "https://auth.example.com/", "slash"),
        ("SERVER__PUBLIC_URL", "https://auth.example.com?x=1", "query"),
        ("SERVER__PUBLIC_URL", "https://auth.example.com#x", "fragment"),
        ("SERVER__PUBLIC_URL", "https://me@auth.example.com", "user name"),
        ("SERVER__PUBLIC_URL", "https://AUTH.example.com", "lower case"),
        ("SERVER__PUBLIC_URL", "https://auth.example.com:443", "default port"),
        ("SERVER__PUBLIC_URL", "https://auth.example.com/a/../b", "dots"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/8,proxy", "10.0.0.0/8"),
        ("SERVER__REPLICAS", "0", "from 1 to"),
        ("SERVER__SHUTDOWN_GRACE", "1h", "10m"),
        ("DATABASE__URL", "mysql://x", "postgres:// or sqlite://"),
        ("DATABASE__MAX_CONNECTIONS", "many", "whole number"),
        ("CACHE__URL", "http://cache", "redis://"),
        ("SECRETS__MASTER_KEY", "not base64!", "openssl rand -base64 32"),
        ("SECRETS__MASTER_KEY", "c2VjcmV0", "6 bytes, not 32"),
        ("SECRETS__MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "not random"),
        ("SECRETS__PREVIOUS_MASTER_KEYS", "c2VjcmV0", "6 bytes, not 32"),
        ("KAKAO__CLIENT_ID", "with space", "printable ASCII"),
        ("KAKAO__CLIENT_SECRET", "한글", "printable ASCII"),
        ("KAKAO__ADMIN_KEY", "a b", "printable ASCII"),
        ("KAKAO__APP_ID", "my app", "number"),
        ("KAKAO__APP_KEYS", "a b", "printable ASCII"),
        ("KAKAO__SCOPES", "openid profile", "consent item"),
        ("KAKAO__AUTH_BASE_URL", "http://kauth.kakao.com", "https://"),
        ("KAKAO__API_BASE_URL", "https://kapi.kakao.com/v2", "path"),
        ("KAKAO__TIMEOUT", "5", "30s, 10m"),
        ("TOKENS__ACCESS_TTL", "1d", "from 30s to 1h"),
        ("TOKENS__ID_TTL", "1s", "from 30s"),
        ("TOKENS__CODE_TTL", "1h", "to 10m"),
        ("REFRESH__IDLE_TTL", "0s", "from 1m"),
        ("REFRESH__ABSOLUTE_TTL", "forever", "not a duration"),
        ("REFRESH__REUSE_WINDOW", "1h", "to 5m"),
        ("KEYS__ALGORITHMS", "HS256", "ES256, RS256 and EdDSA"),
        ("KEYS__ALGORITHMS", ",", "at least one"),
        ("KEYS__JWKS_MAX_AGE", "1s", "from 10s"),
        ("LIMITS__CLIENT_AUTH_FAILURES", "-1", "whole number"),
        ("LIMITS__CLIENT_AUTH_WINDOW", "0s", "from 1s"),
        ("TELEMETRY__LOG_FORMAT", "xml", "json"),
        ("TELEMETRY__LOG_LEVEL", "info,,=", "log_level"),
        ("SERVER__PUBLIC_ULR", "x", "did you mean server.public_url?"),
        ("SERVRE__BIND", "x", "not a setting"),
    ] {
        let said = load(&[(variable, value)]).expect_err(variable);
        let key = variable.to_ascii_lowercase().replace("__", ".");
        assert!(said.contains(&key) && said.contains(sentence), "{variable}={value}: {said}");
        assert!(said.contains("the settings have 1 problem:"), "{variable}={value}: {said}");
        if variable.contains("SECRET") || variable.contains("ADMIN_KEY") {
            assert!(!said.contains(value), "a secret is never shown: {said}");
        }
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let said =
        load(&[("SERVER__BIND", "x"), ("TOKENS__ACCESS_TTL", "x"), ("KAKAO__CLIENT_ID", "")]).unwrap_err();
    assert!(said.starts_with("the settings have 3 problems:"), "{said}");
}

#[test]
fn one_machine_s_stores_are_refused_for_several_replicas() {
    let stores = [("DATABASE__URL", "sqlite://x.sqlite"), ("CACHE__URL", "memory:")];
    load(&stores).unwrap();
    let said = load(&[stores[0], stores[1], ("SERVER__REPLICAS", "2")]).unwrap_err();
    assert!(said.contains("use postgres://") && said.contains("use redis://"), "{said}");
}

#[test]
fn a_later_layer_stands_over_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "[tokens]\naccess_ttl = \"7m\"\nid_ttl = \"8m\"\n").unwrap();
    let settings = Settings::load(Some(&file), variables(&[("TOKENS__ID_TTL", "9m")])).unwrap();
    assert_eq!(settings.policy.longest_access_token, Duration::from_mins(7), "file over default");
    assert_eq!(settings.keys.longest_token, Duration::from_mins(9), "variable over file");
    let mut by_variable = variables(&[]);
    by_variable.push(("KAKAO_AUTH_CONFIG".into(), file.display().to_string()));
    let settings = Settings::load(None, by_variable).unwrap();
    assert_eq!(settings.policy.longest_access_token, Duration::from_mins(7));
}

#[test]
fn a_secret_comes_from_a_file_and_its_line_end_is_not_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "a-secret\r\n").unwrap();
    let path = file.display().to_string();
    let settings = load(&[("KAKAO__CLIENT_SECRET_FILE", &path)]).unwrap();
    assert_eq!(settings.kakao.client_secret.as_ref().unwrap().reveal(), "a-secret");
    assert!(!format!("{settings:?}").contains("a-secret") && !format!("{settings:?}").contains("u:p@db"));
    let said = load(&[("KAKAO__CLIENT_SECRET_FILE", &path), ("KAKAO__CLIENT_SECRET", "x")]).unwrap_err();
    assert!(said.contains("set one of the two"), "{said}");
    let said = load(&[("KAKAO__CLIENT_SECRET_FILE", "/nowhere")]).unwrap_err();
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn a_file_that_is_no_toml_or_not_there_says_so() {
    let said = with_client("[server\n").unwrap_err();
    assert!(said.contains("cannot be read"), "{said}");
    let missing = Settings::load(Some("/nowhere/settings.toml".as_ref()), variables(&[])).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/settings.toml"), "{missing}");
}

#[test]
fn every_bad_client_is_named_with_what_to_write_instead() {
    const GOOD: &str =
        "[[clients]]\nid = \"web\"\ntype = \"public\"\nredirect_uris = [\"https://a.example/cb\"]\n";
    with_client(GOOD).unwrap();
    let hash = "ab".repeat(32);
    for (change, sentence) in [
        ("id = \"a b\"", "without spaces"),
        ("id = \"a:b\"", "colons"),
        ("id = \"\"", "1 to 128"),
        ("type = \"secret\"", "\"public\" or \"confidential\""),
        ("type = \"confidential\"", "kakao-auth clients new"),
        ("secret_sha256 = [\"hunter2\"]", "64 hexadecimal digits"),
        (&format!("secret_sha256 = [\"{hash}\"]"), "a public client has no secret"),
        ("redirect_uris = []", "at least one redirect URI"),
        ("redirect_uris = [\"http://a.example/cb\"]", "http"),
        ("redirect_uris = [\"javascript:alert(1)\"]", "javascript"),
        ("redirect_uris = [\"https://a.example/cb#x\"]", "fragment"),
        ("redirect_uris = [\"https://*.example/cb\"]", "anybody can register a name below example"),
        (
            "redirect_uris = [\"https://shop-*.vercel.app/cb\"]",
            "anybody can register a name below vercel.app",
        ),
        ("redirect_uris = [\"https://a.example/*\"]", "left-most host label"),
        ("login_page = 1", "true or false"),
        ("redirect_uris = [\"myapp:/cb\"]", "redirect_uris"),
        ("redirect_uris = [1]", "list of texts"),
        ("post_logout_redirect_uris = [\"data:text/html,x\"]", "post_logout_redirect_uris"),
        ("allowed_origins = [\"https://a.example/\"]", "not an origin"),
        ("allowed_origins = [\"*\"]", "not an origin"),
        ("grants = [\"password\"]", "not a grant type"),
        ("grants = [\"authorization_code\", \"client_credentials\"]", "confidential"),
        ("scopes = [\"a b\"]", "not a scope"),
        ("audience = []", "at least one resource server"),
        ("audience = [\"\"]", "no name"),
        ("require_pkce = false", "only a confidential client"),
        ("id_token_profile = \"no\"", "true or false"),
        ("require_pkce = \"no\"", "true or false"),
        ("access_token_alg = \"HS256\"", "ES256, RS256 or EdDSA"),
        ("id_token_alg = \"EdDSA\"", "keys.algorithms"),
        ("claims = [\"birthday\"]", "is unknown"),
        ("access_ttl = \"1d\"", "to 1h"),
        ("jwks = [{ kty = \"oct\", k = \"hunter2\" }]", "private key"),
        ("jwks = \"{}\"", "list of JWKs"),
        ("backchannel_logout_uri = \"http://a.example/out\"", "write https://"),
        ("backchannel_logout_uri = \"https://a.example/out#x\"", "without a fragment"),
        ("redirect_uri = \"https://a.example/cb\"", "did you mean redirect_uris?"),
    ] {
        let key = change.split(' ').next().unwrap();
        let mut lines: Vec<&str> =
            GOOD.lines().filter(|line| !line.starts_with(&format!("{key} "))).collect();
        lines.push(change);
        let said = with_client(&lines.join("\n")).expect_err(change);
        assert!(said.contains("clients[") && said.contains(sentence), "{change}: {said}");
        assert!(!said.contains("hunter2"), "a secret is never shown");
    }
    let said = with_client(&[GOOD, GOOD].concat()).unwrap_err();
    assert!(said.contains("another client has the same id"), "{said}");
}

/// Kubernetes kills a process after this long, unless it is told otherwise.
const KUBERNETES: Duration = Duration::from_secs(30);

/// What the end of a process takes beside its two settings.
const REST: Duration = Duration::from_secs(3);

#[test]
fn a_process_has_ended_before_it_is_killed() {
    let settings = load(&[]).unwrap();
    let takes = settings.server.drain_delay + settings.server.shutdown_grace + REST;
    assert!(takes < KUBERNETES, "{takes:?}");
    let compose = include_str!("../../docker-compose.yml");
    let graces = compose.lines().filter_map(|line| line.trim().strip_prefix("stop_grace_period: "));
    let graces: Vec<Duration> =
        graces.map(|grace| Duration::from_secs(grace.trim_end_matches('s').parse().unwrap())).collect();
    assert_eq!(graces.len(), 3, "Postgres, the service, and the service of developers");
    assert!(graces.iter().all(|grace| takes < *grace), "{takes:?} {graces:?}");
}

/// A key that is documented but read by nobody, or read but not documented, would be a lie.
#[test]
fn default_toml_holds_every_key_and_every_key_of_it_is_read() {
    let mut section = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines().take_while(|line| !line.contains("[[clients]]")) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
            && !section.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            keys.push(format!("{section}.{name}"));
        }
    }
    assert!(keys.len() > 25, "{keys:?}");
    for key in &keys {
        // A value that no key takes: whoever reads it complains about it, and nobody says that the key is unknown.
        let variable = key.to_ascii_uppercase().replace('.', "__");
        let said = load(&[(&variable, "\u{1}\u{1}")]).expect_err(key);
        assert!(said.contains(key.as_str()) && !said.contains("is not a setting"), "{key}: {said}");
    }
    for readme in [include_str!("../../README.md"), include_str!("../../README.ko.md")] {
        for key in &keys {
            assert!(readme.contains(&format!("`{key}`")), "the settings table of the README lacks {key}");
        }
    }
}
