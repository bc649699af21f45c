//! Examines what a login needs, and names what is wrong: settings at Kakao, clocks, stores, and ourselves as seen from outside.
//! Nobody is logged in and nothing is changed.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::cache::Cache;
use crate::domain::{Clock, Locale};
use crate::kakao::probe::Skew;
use crate::kakao::{Actor, Fault, Kakao};
use crate::notify::Notifier;
use crate::store::{Db, leases};

/// Tokens carry times: beyond this, verifiers begin to refuse.
const MOST_SKEW: Duration = Duration::from_secs(5);

/// The oldest Postgres that is tried with this service.
const OLDEST_POSTGRES: i32 = 140_000;

/// The oldest Redis.
const OLDEST_REDIS: u32 = 6;

/// What is examined.
pub(crate) struct Environment<'a> {
    /// The cache.
    pub(crate) cache: &'a Cache,
    /// Kakao, as the settings describe it.
    pub(crate) kakao: &'a Kakao,
    /// Calls ourselves.
    pub(crate) notifier: &'a Notifier,
    pub(crate) issuer: &'a str,
    /// Proxies whose word counts.
    pub(crate) trusted_proxies: &'a [IpNet],
    pub(crate) scopes: &'a [String],
    /// Whether `kakao.client_secret` is set.
    pub(crate) has_secret: bool,
    /// Further addresses under which backend services reach the service.
    pub(crate) backends: &'a [String],
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A login cannot work, or not for long.
    Fault,
    /// A login works; something else does not.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) id: String,
    /// How bad.
    pub(crate) level: Level,
    /// Who must act.
    pub(crate) actor: Actor,
    en: String,
    ko: String,
}

impl Finding {
    /// What is wrong and what to do.
    pub(crate) fn sentence(&self, locale: Locale) -> &str {
        match locale {
            Locale::Ko => &self.ko,
            Locale::En => &self.en,
        }
    }

    fn ours(id: &str, level: Level, en: impl Into<String>, ko: impl Into<String>) -> Self {
        Self { id: id.to_owned(), level, actor: Actor::Operator, en: en.into(), ko: ko.into() }
    }

    fn of(fault: &Fault, level: Level) -> Self {
        Self {
            id: fault.id().to_owned(),
            level,
            actor: fault.actor(),
            en: fault.sentence(Locale::En).to_owned(),
            ko: fault.sentence(Locale::Ko).to_owned(),
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What was found, if anything.
    pub(crate) findings: Vec<Finding>,
}

/// Examines everything. What follows from a fault that was found is not named again.
pub(crate) async fn diagnose(environment: &Environment<'_>, db: &mut Db) -> Vec<Check> {
    let mut checks = vec![
        Check { name: "database", findings: database(db).await.into_iter().collect() },
        Check { name: "cache", findings: cache(environment.cache).await.into_iter().collect() },
    ];
    if let Some(finding) = proxy(environment, db).await {
        checks.push(Check { name: "proxy", findings: vec![finding] });
    }
    match environment.kakao.probe_clock().await {
        Err(fault) => {
            checks.push(Check { name: "kakao", findings: vec![Finding::of(&fault, Level::Fault)] });
        }
        Ok(skew) => {
            checks.push(Check { name: "kakao", findings: Vec::new() });
            checks.push(Check { name: "clock", findings: skew.and_then(clock).into_iter().collect() });
            let page = authorize(environment).await;
            // A key that is no REST API key is refused everywhere: once is enough.
            let key_is_wrong = page.as_ref().is_err_and(Fault::is_wrong_key);
            let findings = page.unwrap_or_else(|fault| vec![Finding::of(&fault, Level::Fault)]);
            checks.push(Check { name: "authorize page", findings });
            if !key_is_wrong {
                checks.push(Check {
                    name: "client secret",
                    findings: secret(environment).await.into_iter().collect(),
                });
            }
            checks.push(Check {
                name: "admin key",
                findings: admin_key(environment).await.into_iter().collect(),
            });
        }
    }
    checks.push(Check {
        name: "public address",
        findings: public_address(environment).await.into_iter().collect(),
    });
    for backend in environment.backends {
        let finding = seen_from(environment, backend).await;
        checks.push(Check { name: "backend", findings: finding.into_iter().collect() });
    }
    checks
}

async fn database(db: &mut Db) -> Option<Finding> {
    match db.server_version().await {
        Err(error) => Some(Finding::ours(
            "database_unreachable",
            Level::Fault,
            format!("The database does not answer ({error}). Check database.url and the server."),
            "데이터베이스가 응답하지 않아요. database.url과 서버를 확인해 주세요.",
        )),
        Ok(Some(version)) if version < OLDEST_POSTGRES => Some(postgres_old(version)),
        Ok(_) => None,
    }
}

/// What the running service noticed within the last day, save what the settings list by now.
async fn proxy(environment: &Environment<'_>, db: &mut Db) -> Option<Finding> {
    let noticed = leases::unlisted_proxies(db, Clock::System.now()).await.ok()?;
    let listed = |peer: &str| {
        let peer: Option<IpAddr> = peer.parse().ok();
        peer.is_some_and(|peer| environment.trusted_proxies.iter().any(|network| network.contains(&peer)))
    };
    let unlisted: Vec<String> = noticed.into_iter().filter(|peer| !listed(peer)).collect();
    (!unlisted.is_empty()).then(|| proxy_unlisted(&unlisted.join(", ")))
}

fn proxy_unlisted(peers: &str) -> Finding {
    Finding::ours(
        "proxy_unlisted",
        Level::Warning,
        format!(
            "Requests come through {peers}, which server.trusted_proxies does not list: to every limit, all people behind it are \
             one caller. List its network, unless callers send X-Forwarded-For by themselves."
        ),
        format!(
            "server.trusted_proxies에 없는 {peers}을(를) 거쳐 요청이 들어와요. 요청 제한이 그 뒤의 모든 사람을 한 명으로 세니, \
             프록시라면 그 네트워크를 적어 주세요."
        ),
    )
}

fn postgres_old(version: i32) -> Finding {
    let (is, needed) = (version / 10_000, OLDEST_POSTGRES / 10_000);
    Finding::ours(
        "postgres_old",
        Level::Fault,
        format!("PostgreSQL {is} is too old: use {needed} or later."),
        format!("PostgreSQL {is}은(는) 너무 오래됐어요. {needed} 이상을 써 주세요."),
    )
}

async fn cache(cache: &Cache) -> Option<Finding> {
    match cache.server_version().await {
        Err(error) => Some(Finding::ours(
            "cache_unreachable",
            Level::Warning,
            format!(
                "Redis does not answer ({error}). Logins work, Kakao is asked more often. Check cache.url."
            ),
            "Redis가 응답하지 않아요. 로그인은 되지만 카카오를 더 자주 호출해요. cache.url을 확인해 주세요.",
        )),
        Ok(Some(version)) => redis_old(&version),
        Ok(None) => None,
    }
}

fn redis_old(version: &str) -> Option<Finding> {
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    (major < OLDEST_REDIS).then(|| {
        Finding::ours(
            "redis_old",
            Level::Warning,
            format!("Redis {version} is too old: use {OLDEST_REDIS} or later."),
            format!("Redis {version}은(는) 너무 오래됐어요. {OLDEST_REDIS} 이상을 써 주세요."),
        )
    })
}

fn clock(skew: Skew) -> Option<Finding> {
    let seconds = skew.length().as_secs();
    let (en, ko) = match skew {
        Skew::Ahead(_) => ("behind", "느려요"),
        Skew::Behind(_) => ("ahead of", "빨라요"),
    };
    (skew.length() > MOST_SKEW).then(|| {
        Finding::ours(
            "clock_skew",
            Level::Fault,
            format!("This machine's clock is {seconds} s {en} Kakao's. Set it by NTP: tokens carry times."),
            format!(
                "이 서버의 시계가 카카오보다 {seconds}초 {ko}. 토큰에는 시간이 들어 있으니 NTP로 맞춰 주세요."
            ),
        )
    })
}

/// The key, the redirect URI and the consent items, as a login would send them.
///
/// # Errors
/// What Kakao's page says, unless it is about a consent item.
async fn authorize(environment: &Environment<'_>) -> Result<Vec<Finding>, Fault> {
    let openid = ["openid".to_owned()];
    match environment.kakao.probe_authorize(&[]).await {
        Ok(()) if environment.scopes.contains(&openid[0]) => Ok(Vec::new()),
        // Nothing asks for OpenID Connect, so a login works without it.
        Ok(()) => match environment.kakao.probe_authorize(&openid).await {
            Err(fault) if fault.is_scope_off() => Ok(vec![oidc_off(Level::Warning)]),
            Ok(()) if !environment.scopes.is_empty() => Ok(vec![openid_not_asked()]),
            _ => Ok(Vec::new()),
        },
        Err(fault) if fault.is_scope_off() => Ok(items_that_are_off(environment, &fault).await),
        Err(fault) => Err(fault),
    }
}

fn oidc_off(level: Level) -> Finding {
    Finding::ours(
        "oidc_off",
        level,
        "OpenID Connect is off at Kakao, so there are no ID tokens to check, and prompt=login and max_age are refused with \
         login_required. Console: Kakao Login > OpenID Connect > ON.",
        "카카오에서 OpenID Connect가 꺼져 있어 ID 토큰이 없고, prompt=login과 max_age는 login_required로 거부돼요. 콘솔의 카카오 \
         로그인 > OpenID Connect를 켜 주세요.",
    )
}

fn openid_not_asked() -> Finding {
    Finding::ours(
        "openid_not_asked",
        Level::Warning,
        "kakao.scopes lacks openid, so Kakao gives no ID tokens, and prompt=login and max_age are refused with login_required. Add \
         openid to kakao.scopes.",
        "kakao.scopes에 openid가 없어서 카카오가 ID 토큰을 주지 않고, prompt=login과 max_age는 login_required로 거부돼요. kakao.scopes에 \
         openid를 추가해 주세요.",
    )
}

/// Which of the configured items Kakao does not have.
async fn items_that_are_off(environment: &Environment<'_>, fault: &Fault) -> Vec<Finding> {
    let mut findings = Vec::new();
    for item in environment.scopes {
        let alone = environment.kakao.with_scopes(std::slice::from_ref(item));
        let off = matches!(alone.probe_authorize(&[]).await, Err(fault) if fault.is_scope_off());
        if off && item == "openid" {
            findings.push(oidc_off(Level::Fault));
        } else if off {
            let mut finding = Finding::of(fault, Level::Fault);
            finding.en = format!("{} (kakao.scopes: {item})", finding.en);
            finding.ko = format!("{} (kakao.scopes: {item})", finding.ko);
            findings.push(finding);
        }
    }
    if findings.is_empty() {
        findings.push(Finding::of(fault, Level::Fault));
    }
    findings
}

async fn secret(environment: &Environment<'_>) -> Option<Finding> {
    match environment.kakao.probe_secret(true).await {
        Err(fault) => Some(Finding::of(&fault, Level::Fault)),
        Ok(()) if !environment.has_secret => Some(secret_off()),
        // A secret that is switched off at Kakao is not compared with anything.
        Ok(()) => environment.kakao.probe_secret(false).await.is_ok().then(secret_off),
    }
}

fn secret_off() -> Finding {
    Finding::ours(
        "client_secret_off",
        Level::Warning,
        "The client secret is switched off at Kakao: whoever sees a code can use it. Console: Platform keys > REST API key > \
         Client secret > ON, and set kakao.client_secret.",
        "카카오에서 클라이언트 시크릿이 꺼져 있어요. 콘솔의 플랫폼 키 > REST API 키 > 클라이언트 시크릿을 켜고 kakao.client_secret을 \
         설정해 주세요.",
    )
}

async fn admin_key(environment: &Environment<'_>) -> Option<Finding> {
    if !environment.kakao.has_admin_key() {
        return Some(Finding::ours(
            "admin_key_missing",
            Level::Warning,
            "kakao.admin_key is not set: unlink webhooks are refused, and deleted accounts may stay linked at Kakao.",
            "kakao.admin_key가 없어서 연결 해제 웹훅을 받을 수 없고, 삭제된 계정이 카카오에 연결된 채 남을 수 있어요.",
        ));
    }
    match environment.kakao.probe_admin_key().await {
        Ok(()) => None,
        Err(fault) if fault.is_dead_token() => Some(Finding::ours(
            "admin_key_wrong",
            Level::Warning,
            "kakao.admin_key is not an admin key of the app. Console: App > Admin keys.",
            "kakao.admin_key가 이 앱의 어드민 키가 아니에요. 콘솔의 앱 > 어드민 키를 확인해 주세요.",
        )),
        Err(fault) => Some(Finding::of(&fault, Level::Warning)),
    }
}

/// What the discovery document at an address says the issuer is.
async fn issuer_at(notifier: &Notifier, base: &str) -> Result<Option<String>, String> {
    let url = format!("{}/.well-known/openid-configuration", base.trim_end_matches('/'));
    match notifier.get(&url).await {
        Ok((200, body)) => {
            let document: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
            Ok(document.and_then(|document| document["issuer"].as_str().map(str::to_owned)))
        }
        Ok((status, _)) => Err(format!("{url} answers {status}")),
        Err(error) => Err(format!("{url}: {error}")),
    }
}

async fn public_address(environment: &Environment<'_>) -> Option<Finding> {
    match issuer_at(environment.notifier, environment.issuer).await {
        Err(cause) => Some(Finding::ours(
            "public_url_unreachable",
            Level::Warning,
            format!(
                "The service cannot be reached at server.public_url from here ({cause}). Kakao's webhooks come there too."
            ),
            format!("여기에서 server.public_url로 접속할 수 없어요 ({cause}). 카카오 웹훅도 그 주소로 와요."),
        )),
        Ok(advertised) if advertised.as_deref() != Some(environment.issuer) => {
            Some(issuer_mismatch(environment.issuer, environment.issuer, advertised.as_deref()))
        }
        Ok(_) => webhook(environment).await,
    }
}

/// Kakao follows no redirects, and some proxies answer for a path that they do not know.
async fn webhook(environment: &Environment<'_>) -> Option<Finding> {
    // Ours refuse whoever does not show the admin key, and what is no token.
    for (path, refusal) in [("unlink", 401), ("account-status", 400)] {
        let url = format!("{}/kakao/webhooks/{path}", environment.issuer);
        match environment.notifier.post_nothing(&url).await {
            Ok(status) if status == refusal => {}
            Ok(status) => return Some(webhook_unreachable(&url, &status.to_string())),
            Err(error) => return Some(webhook_unreachable(&url, &error.to_string())),
        }
    }
    None
}

fn webhook_unreachable(url: &str, answer: &str) -> Finding {
    Finding::ours(
        "webhook_unreachable",
        Level::Warning,
        format!(
            "{url} does not lead to this service (answer: {answer}). Kakao's webhooks cannot arrive; check the proxy."
        ),
        format!(
            "{url} 주소가 이 서비스로 이어지지 않아요 (응답: {answer}). 카카오 웹훅을 받을 수 없으니 프록시를 확인해 주세요."
        ),
    )
}

async fn seen_from(environment: &Environment<'_>, base: &str) -> Option<Finding> {
    match issuer_at(environment.notifier, base).await {
        Ok(advertised) if advertised.as_deref() == Some(environment.issuer) => None,
        Ok(advertised) => Some(issuer_mismatch(environment.issuer, base, advertised.as_deref())),
        Err(cause) => Some(Finding::ours(
            "backend_unreachable",
            Level::Warning,
            format!("A backend cannot reach the service there ({cause})."),
            format!("다른 서비스가 그 주소로 접속할 수 없어요 ({cause})."),
        )),
    }
}

fn issuer_mismatch(ours: &str, base: &str, advertised: Option<&str>) -> Finding {
    let advertised = advertised.unwrap_or("-");
    Finding::ours(
        "issuer_mismatch",
        Level::Fault,
        format!(
            "At {base} the issuer is {advertised}, and server.public_url is {ours}: backends will refuse every token."
        ),
        format!(
            "{base}에서는 issuer가 {advertised}인데 server.public_url은 {ours}이에요. 다른 서비스가 모든 토큰을 거부해요."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_named() {
        assert!(postgres_old(130_014).sentence(Locale::En).contains("PostgreSQL 13"));
        assert!(redis_old("5.0.14").is_some() && redis_old("").is_some());
        assert!(redis_old("6.0.16").is_none() && redis_old("8.2.1").is_none());
    }

    #[test]
    fn five_seconds_are_forgiven() {
        assert!(clock(Skew::Ahead(Duration::from_secs(5))).is_none());
        assert!(clock(Skew::Behind(Duration::from_secs(6))).is_some());
    }
}
