//! The table: every fault that Kakao is known for, who must act, and what to say about it, in English and Korean.
//!
//! Redirects to clients, the page and the document of errors, logs and metrics all read it here. Ids are a promise:
//! people search for them, and programs branch on them.

use crate::domain::Locale;

/// What a fault at Kakao means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The person pressed cancel.
    Cancelled,
    /// Kakao refuses the person for being under 14.
    UnderAge,
    /// Kakao refuses the person for another reason.
    PersonRefused,
    /// The code or token is spent or too old: a new login helps.
    StartAgain,
    /// Our set-up at Kakao is wrong: the operator must act.
    SetupWrong,
    /// Kakao gave an answer that cannot be, or says that the fault is its own.
    KakaoBroken,
    /// Kakao does not answer, is under maintenance, or asks to wait.
    TryLater,
}

impl FaultKind {
    /// The stable machine code: what our API answers, and what the store keeps of a login that ended so.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Cancelled => "person_cancelled",
            Self::UnderAge => "person_under_age",
            Self::PersonRefused => "person_refused",
            Self::StartAgain => "start_again",
            Self::SetupWrong => "kakao_setup_wrong",
            Self::KakaoBroken => "kakao_broken",
            Self::TryLater => "kakao_try_later",
        }
    }
}

/// Who must act on a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever runs this service: settings, Kakao's console, network.
    Operator,
    /// Whoever writes the client that sends people or requests here.
    Developer,
    /// The person who logs in.
    Person,
    /// Kakao; everybody else can only wait.
    Kakao,
}

impl Actor {
    /// The stable name, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Person => "person",
            Self::Kakao => "kakao",
        }
    }

    /// The name for people.
    pub const fn label(self, locale: Locale) -> &'static str {
        match self {
            Self::Operator => locale.pick("로그인 서비스 운영자", "Operator of the login service"),
            Self::Developer => locale.pick("앱이나 사이트 개발자", "Developer of the app or site"),
            Self::Person => locale.pick("로그인하는 사람", "Person who logs in"),
            Self::Kakao => locale.pick("카카오", "Kakao"),
        }
    }
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownFault {
    /// Stable: `KOE010`, `KAPI-401`, `redirect.consent_required`, `network.timeout`.
    pub id: &'static str,
    /// What it means for a login.
    pub(crate) kind: FaultKind,
    /// Who must act.
    pub actor: Actor,
    en: &'static str,
    ko: &'static str,
}

impl KnownFault {
    /// All rows, in the order in which they are shown.
    pub const ALL: &'static [Self] = ROWS;

    /// The row of an id.
    pub(crate) fn find(id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.id == id)
    }

    /// What is wrong and what to do. The English one holds only what `error_description` may (RFC 6749 §4.1.2.1).
    pub const fn sentence(&self, locale: Locale) -> &'static str {
        locale.pick(self.ko, self.en)
    }
}

const fn row(
    id: &'static str,
    kind: FaultKind,
    actor: Actor,
    en: &'static str,
    ko: &'static str,
) -> KnownFault {
    KnownFault { id, kind, actor, en, ko }
}

/// The row that code names. An id without a row does not compile: the index is out of bounds.
const fn known(id: &str) -> &'static KnownFault {
    let mut at = 0;
    while at < ROWS.len() && !same(ROWS[at].id, id) {
        at += 1;
    }
    &ROWS[at]
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

pub(super) const DEAD_TOKEN: &KnownFault = known("KAPI-401");
pub(super) const MISMATCH: &KnownFault = known("KAPI-401-mismatch");
pub(super) const REDIRECT_UNDER_14: &KnownFault = known("redirect.under_age");
pub(super) const REDIRECT_UNKNOWN: &KnownFault = known("redirect.unknown");
pub(super) const TIMEOUT: &KnownFault = known("network.timeout");
pub(super) const UNREACHABLE: &KnownFault = known("network.unreachable");
pub(super) const BROKEN_OFF: &KnownFault = known("network.broken");
pub(super) const QUOTA_BACKOFF: &KnownFault = known("quota.backoff");
pub(super) const REPLY_UNREADABLE: &KnownFault = known("reply.unreadable");
pub(super) const REPLY_BUSY: &KnownFault = known("reply.busy");
pub(super) const REPLY_REFUSED: &KnownFault = known("reply.refused");
pub(super) const REPLY_UNKNOWN: &KnownFault = known("reply.unknown");
pub(super) const SETTING: &KnownFault = known("setup.setting");
pub(super) const ID_TOKEN_MALFORMED: &KnownFault = known("id_token.malformed");
pub(super) const ID_TOKEN_KEY: &KnownFault = known("id_token.key");
pub(super) const ID_TOKEN_KEY_UNSEEN: &KnownFault = known("id_token.key_unseen");
pub(super) const ID_TOKEN_SIGNATURE: &KnownFault = known("id_token.signature");
pub(super) const ID_TOKEN_ISSUER: &KnownFault = known("id_token.issuer");
pub(super) const ID_TOKEN_AUDIENCE: &KnownFault = known("id_token.audience");
pub(super) const ID_TOKEN_EXPIRED: &KnownFault = known("id_token.expired");
pub(super) const ID_TOKEN_FUTURE: &KnownFault = known("id_token.future");
pub(super) const ID_TOKEN_NONCE: &KnownFault = known("id_token.nonce");
pub(super) const ID_TOKEN_PERSON: &KnownFault = known("id_token.person");

use Actor::{Developer, Kakao, Operator, Person};
use FaultKind::{Cancelled, KakaoBroken, PersonRefused, SetupWrong, StartAgain, TryLater, UnderAge};

/// KOE: developers.kakao.com, Kakao Login > Troubleshooting. KAPI: REST API > Error codes. Redirects: Kakao Login > REST API.
#[rustfmt::skip]
const ROWS: &[KnownFault] = &[
    // --- codes of kauth
    row("KOE001", SetupWrong, Developer,
        "The request to Kakao is malformed. Check the prompt and login_hint that the client sends.",
        "카카오에 보낸 요청의 형식이 잘못됐어요. 앱이 보내는 prompt와 login_hint를 확인해 주세요."),
    row("KOE002", SetupWrong, Operator,
        "The address at Kakao is wrong. Check kakao.auth_base_url.",
        "카카오 주소가 잘못됐어요. kakao.auth_base_url 설정을 확인해 주세요."),
    row("KOE003", TryLater, Kakao,
        "Kakao's login has a temporary fault. Try again in a moment.",
        "카카오 로그인에 일시적인 문제가 생겼어요. 잠시 후 다시 시도해 주세요."),
    row("KOE004", SetupWrong, Operator,
        "Kakao Login is switched off for this app. Switch it on in Kakao's console: Kakao Login.",
        "이 앱의 카카오 로그인이 꺼져 있어요. 카카오 콘솔의 카카오 로그인에서 켜 주세요."),
    row("KOE005", PersonRefused, Operator,
        "This is a test app, and the person is not one of its members. Add them in Kakao's console: App > Members.",
        "테스트 앱이라서 멤버만 로그인할 수 있어요. 카카오 콘솔의 앱 > 멤버에서 이 사람을 추가해 주세요."),
    row("KOE006", SetupWrong, Operator,
        "The redirect URI is not registered. Add server.public_url followed by /kakao/callback, byte for byte, in Kakao's console: App > Platform keys > REST API key.",
        "리다이렉트 URI가 등록되어 있지 않아요. 카카오 콘솔의 앱 > 플랫폼 키 > REST API 키에 server.public_url 뒤에 /kakao/callback을 붙인 주소를 글자 하나까지 똑같이 등록해 주세요."),
    row("KOE007", SetupWrong, Operator,
        "The logout redirect URI is not registered. Add server.public_url followed by /kakao/logout in Kakao's console: Kakao Login > Advanced.",
        "로그아웃 리다이렉트 URI가 등록되어 있지 않아요. 카카오 콘솔의 카카오 로그인 > 고급에 server.public_url 뒤에 /kakao/logout을 붙인 주소를 등록해 주세요."),
    row("KOE008", SetupWrong, Operator,
        "kakao.client_id is an app key of the wrong type. Use the REST API key from Kakao's console: App > Platform keys.",
        "kakao.client_id가 다른 종류의 앱 키예요. 카카오 콘솔의 앱 > 플랫폼 키에 있는 REST API 키를 넣어 주세요."),
    row("KOE009", SetupWrong, Operator,
        "A token was asked for from a platform that is not registered. Register the Android key hash, the iOS bundle id or the web domain in Kakao's console: App > Platform keys.",
        "등록되지 않은 플랫폼에서 토큰을 요청했어요. 카카오 콘솔의 앱 > 플랫폼 키에 안드로이드 키 해시, iOS 번들 ID 또는 웹 도메인을 등록해 주세요."),
    row("KOE010", SetupWrong, Operator,
        "kakao.client_secret is missing or wrong; new REST API keys have it switched on. Copy it from Kakao's console: App > Platform keys > REST API key.",
        "kakao.client_secret이 없거나 틀렸어요. 새 REST API 키는 클라이언트 시크릿이 기본으로 켜져 있어요. 카카오 콘솔의 앱 > 플랫폼 키 > REST API 키에서 복사해 주세요."),
    row("KOE023", SetupWrong, Developer,
        "Kakao's JavaScript SDK cannot log in by popup here. Send the browser to /oauth/authorize by a redirect instead.",
        "카카오 JavaScript SDK의 팝업으로는 로그인할 수 없어요. 팝업 대신 브라우저를 /oauth/authorize로 이동시켜 주세요."),
    row("KOE101", SetupWrong, Operator,
        "kakao.client_id is not a REST API key of the app, or is empty. Copy the key from Kakao's console: App > Platform keys > REST API key.",
        "kakao.client_id가 비어 있거나 앱의 REST API 키가 아니에요. 카카오 콘솔의 앱 > 플랫폼 키 > REST API 키에서 복사해 주세요."),
    row("KOE102", SetupWrong, Operator,
        "No KakaoTalk channel is linked to the app. Link one in Kakao's console.",
        "앱에 연결된 카카오톡 채널이 없어요. 카카오 콘솔에서 채널을 연결해 주세요."),
    row("KOE201", SetupWrong, Operator,
        "Kakao does not support this response type. The service only asks for a code: look for a proxy that changes requests, or report it to the project.",
        "카카오가 지원하지 않는 response_type이에요. 이 서비스는 code만 요청하니, 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KOE202", SetupWrong, Operator,
        "Kakao does not support the implicit grant. The service only asks for a code: look for a proxy that changes requests, or report it to the project.",
        "카카오는 암시적 승인을 지원하지 않아요. 이 서비스는 code만 요청하니, 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KOE203", PersonRefused, Person,
        "A required consent item was not agreed to. Log in again and agree to it.",
        "필수 동의항목에 동의하지 않았어요. 다시 로그인해서 동의해 주세요."),
    row("KOE204", SetupWrong, Developer,
        "A parameter of the login is not valid at Kakao. Check the prompt and login_hint that the client sends.",
        "로그인 요청에 카카오가 받지 않는 파라미터가 있어요. 앱이 보내는 prompt와 login_hint를 확인해 주세요."),
    row("KOE205", SetupWrong, Operator,
        "kakao.scopes names a consent item that is not set up. Set it up in Kakao's console, Kakao Login > Consent items (for openid switch on OpenID Connect under Kakao Login), or remove it from kakao.scopes.",
        "kakao.scopes에 적은 동의항목 중에 카카오에서 설정하지 않은 것이 있어요. 카카오 콘솔의 카카오 로그인 > 동의항목에서 설정하거나(openid는 카카오 로그인에서 OpenID Connect를 켜야 해요) kakao.scopes에서 빼 주세요."),
    row("KOE207", SetupWrong, Operator,
        "A required parameter did not reach Kakao. Look for a proxy that changes requests, or report it to the project.",
        "필수 파라미터가 카카오에 전달되지 않았어요. 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KOE237", TryLater, Developer,
        "Too many tokens were asked for this person: Kakao gives 20 in ten minutes. Wait ten minutes, and look for a login that runs in a loop or a load test with one account.",
        "이 사람의 토큰을 너무 많이 요청했어요. 카카오는 10분에 20개까지만 발급해요. 10분 뒤에 다시 시도하고, 로그인이 반복되는 코드나 한 계정으로 하는 부하 테스트가 있는지 확인해 주세요."),
    row("KOE303", SetupWrong, Operator,
        "The redirect URI differs from the one that the login began with. Check that server.public_url is the same on all replicas.",
        "리다이렉트 URI가 로그인을 시작할 때와 달라요. 모든 서버의 server.public_url이 같은지 확인해 주세요."),
    row("KOE310", SetupWrong, Operator,
        "Kakao does not support this grant type. Look for a proxy that changes requests, or report it to the project.",
        "카카오가 지원하지 않는 grant_type이에요. 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KOE319", SetupWrong, Operator,
        "Kakao was asked for a refresh without a refresh token. Look for a proxy that changes requests, or report it to the project.",
        "리프레시 토큰 없이 토큰 갱신을 요청했어요. 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KOE320", StartAgain, Person,
        "Kakao's code was used before, is too old or is unknown. Log in again.",
        "카카오 인가 코드를 이미 사용했거나 유효 시간이 지났어요. 다시 로그인해 주세요."),
    row("KOE322", StartAgain, Person,
        "Kakao's refresh token has expired or is unknown. Log in again.",
        "카카오 리프레시 토큰이 만료됐거나 유효하지 않아요. 다시 로그인해 주세요."),
    row("KOE400", KakaoBroken, Kakao,
        "Kakao does not recognize its own ID token. Log in again; if it stays, ask Kakao on DevTalk.",
        "카카오가 자신이 발급한 ID 토큰을 알아보지 못해요. 다시 로그인해 보고, 계속되면 카카오 데브톡에 문의해 주세요."),
    // --- codes of kapi
    row("KAPI-1", TryLater, Kakao,
        "Kakao has an internal fault. Try again in a moment.",
        "카카오 내부에 문제가 생겼어요. 잠시 후 다시 시도해 주세요."),
    row("KAPI-2", SetupWrong, Operator,
        "An argument of a call to Kakao is missing or not valid. Look for a proxy that changes requests, or report it to the project.",
        "카카오 API 호출에 빠졌거나 잘못된 값이 있어요. 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KAPI-3", SetupWrong, Operator,
        "The feature is not switched on, or the admin key may not call this API. Switch it on in Kakao's console, or allow the API for the admin key: App > Keys.",
        "기능이 꺼져 있거나 어드민 키로 호출할 수 없는 API예요. 카카오 콘솔에서 기능을 켜거나 앱 > 어드민 키의 사용 가능 API에서 이 API를 허용해 주세요."),
    row("KAPI-4", PersonRefused, Person,
        "Kakao has restricted this account. Ask Kakao's customer service.",
        "이용이 제한된 카카오계정이에요. 카카오 고객센터에 문의해 주세요."),
    row("KAPI-5", SetupWrong, Operator,
        "The app has no permission for this API. Ask for it in Kakao's console.",
        "앱에 이 API를 쓸 권한이 없어요. 카카오 콘솔에서 권한을 신청해 주세요."),
    row("KAPI-6", PersonRefused, Person,
        "Kakao does not allow this for the account. Ask Kakao's customer service.",
        "카카오가 이 계정에 허용하지 않는 동작이에요. 카카오 고객센터에 문의해 주세요."),
    row("KAPI-7", TryLater, Kakao,
        "Kakao is under maintenance or has an internal problem. Try again later.",
        "카카오가 점검 중이거나 내부에 문제가 있어요. 나중에 다시 시도해 주세요."),
    row("KAPI-8", SetupWrong, Operator,
        "A header of a call to Kakao is wrong. Look for a proxy that changes requests, or report it to the project.",
        "카카오 API 호출의 헤더가 잘못됐어요. 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("KAPI-9", SetupWrong, Operator,
        "Kakao has retired this API. Update the login service.",
        "카카오가 더는 제공하지 않는 API예요. 로그인 서비스를 업데이트해 주세요."),
    row("KAPI-10", TryLater, Operator,
        "The app's quota of calls to Kakao is used up. Try again later; if it happens again, ask Kakao for a larger quota.",
        "앱의 카카오 API 쿼터를 다 썼어요. 나중에 다시 시도하고, 반복되면 카카오에 쿼터를 늘려 달라고 요청해 주세요."),
    row("KAPI-11", TryLater, Operator,
        "The spending limit of a paid API is reached. Raise it in Kakao's console.",
        "유료 API의 사용 한도에 도달했어요. 카카오 콘솔에서 한도를 늘려 주세요."),
    row("KAPI-12", SetupWrong, Operator,
        "Kakao has blocked the app or the account of its developer. Ask Kakao on DevTalk.",
        "카카오가 앱이나 개발자 계정을 차단했어요. 카카오 데브톡에 문의해 주세요."),
    row("KAPI-101", StartAgain, Person,
        "The Kakao account is not linked to the app any more. Log in again.",
        "카카오계정과 앱의 연결이 해제됐어요. 다시 로그인해 주세요."),
    row("KAPI-102", StartAgain, Person,
        "The Kakao account is linked to the app already. Log in again.",
        "카카오계정이 이미 앱에 연결되어 있어요. 다시 로그인해 주세요."),
    row("KAPI-103", PersonRefused, Person,
        "The Kakao account is dormant or does not exist. Log in at accounts.kakao.com to wake it up.",
        "휴면 상태이거나 없는 카카오계정이에요. accounts.kakao.com에 로그인해서 휴면 상태를 풀어 주세요."),
    row("KAPI-201", SetupWrong, Operator,
        "A user property is not registered. Register it in Kakao's console: Kakao Login > Advanced.",
        "등록되지 않은 사용자 프로퍼티가 있어요. 카카오 콘솔의 카카오 로그인 > 고급에서 등록해 주세요."),
    row("KAPI-301", SetupWrong, Operator,
        "The app does not exist at Kakao. Check kakao.client_id and kakao.admin_key.",
        "카카오에 없는 앱이에요. kakao.client_id와 kakao.admin_key를 확인해 주세요."),
    row("KAPI-401", StartAgain, Person,
        "Kakao's token has expired or is unknown. Log in again; if it happens to everybody, the operator checks the app keys.",
        "카카오 토큰이 만료됐거나 유효하지 않아요. 다시 로그인해 주세요. 모두에게 생기면 운영자가 앱 키를 확인해 주세요."),
    row("KAPI-401-mismatch", SetupWrong, Operator,
        "Kakao refuses the caller: this server's IP address, or the app's domain, key hash or bundle id, is not registered. Register it in Kakao's console at the app key that is used.",
        "카카오가 호출을 거부했어요. 이 서버의 IP 주소나 앱의 도메인, 키 해시, 번들 ID가 등록되어 있지 않아요. 카카오 콘솔에서 사용하는 앱 키에 등록해 주세요."),
    row("KAPI-402", PersonRefused, Person,
        "The person has not consented to what was asked for. Log in again and agree to it.",
        "필요한 동의항목에 동의하지 않았어요. 다시 로그인해서 동의해 주세요."),
    row("KAPI-405", PersonRefused, Person,
        "Kakao must verify the person's age first. Verify it in the settings of the Kakao account.",
        "카카오에서 먼저 연령 인증을 해야 해요. 카카오계정 설정에서 인증해 주세요."),
    row("KAPI-406", UnderAge, Person,
        "The person is under 14, and this app does not accept people under 14.",
        "만 14세 미만은 이 앱을 이용할 수 없어요."),
    row("KAPI-501", PersonRefused, Person,
        "The person does not use KakaoTalk. Sign up for KakaoTalk with this account first.",
        "카카오톡을 사용하지 않는 계정이에요. 먼저 이 계정으로 카카오톡에 가입해 주세요."),
    row("KAPI-602", SetupWrong, Developer,
        "An image is too big for Kakao. Send a smaller one.",
        "이미지가 너무 커요. 더 작은 이미지를 보내 주세요."),
    row("KAPI-603", TryLater, Kakao,
        "Kakao ran into a time-out of its own. Try again in a moment.",
        "카카오 내부에서 시간이 초과됐어요. 잠시 후 다시 시도해 주세요."),
    row("KAPI-606", SetupWrong, Developer,
        "Too many images were sent to Kakao. Send fewer.",
        "이미지가 너무 많아요. 이미지 수를 줄여 주세요."),
    row("KAPI-903", SetupWrong, Operator,
        "The app key belongs to a developer who is not registered at Kakao. Register at developers.kakao.com, or use another app.",
        "등록되지 않은 개발자의 앱 키예요. developers.kakao.com에서 개발자 등록을 하거나 다른 앱을 사용해 주세요."),
    row("KAPI-911", SetupWrong, Developer,
        "An image has a format that Kakao does not take. Send it in a format that Kakao's documentation names.",
        "카카오가 받지 않는 이미지 형식이에요. 카카오 문서에 나온 형식으로 보내 주세요."),
    row("KAPI-9798", TryLater, Kakao,
        "Kakao is under maintenance. Try again later.",
        "카카오가 점검 중이에요. 나중에 다시 시도해 주세요."),
    // --- what Kakao's redirect says instead of a code
    row("redirect.access_denied", Cancelled, Person,
        "The person cancelled the login at Kakao. Log in again to go on.",
        "카카오 로그인을 취소했어요. 계속하려면 다시 로그인해 주세요."),
    row("redirect.under_age", UnderAge, Person,
        "The person is under 14, and this app does not accept people under 14 or lacks their guardian's consent.",
        "만 14세 미만은 이 앱을 이용할 수 없거나 보호자의 동의가 필요해요."),
    row("redirect.login_required", StartAgain, Person,
        "The person is not logged in at Kakao. Log in again.",
        "카카오에 로그인되어 있지 않아요. 다시 로그인해 주세요."),
    row("redirect.consent_required", StartAgain, Person,
        "The person has not yet agreed at Kakao. Log in again and agree.",
        "아직 카카오에서 동의하지 않았어요. 다시 로그인해서 동의해 주세요."),
    row("redirect.interaction_required", StartAgain, Person,
        "Kakao must ask the person something first. Log in again and answer it.",
        "카카오가 먼저 확인할 것이 있어요. 다시 로그인해서 카카오의 안내를 따라 주세요."),
    row("redirect.server_error", TryLater, Kakao,
        "Kakao has a fault. Try again in a moment.",
        "카카오에 문제가 생겼어요. 잠시 후 다시 시도해 주세요."),
    row("redirect.temporarily_unavailable", TryLater, Kakao,
        "Kakao asks to wait. Try again in a moment.",
        "지금은 카카오 로그인을 이용할 수 없어요. 잠시 후 다시 시도해 주세요."),
    row("redirect.invalid_request", SetupWrong, Developer,
        "Kakao does not accept the request. Check the prompt and login_hint that the client sends.",
        "카카오가 로그인 요청을 받아들이지 않았어요. 앱이 보내는 prompt와 login_hint를 확인해 주세요."),
    row("redirect.invalid_client", SetupWrong, Operator,
        "Kakao does not know the app key. Check kakao.client_id: it must be the REST API key.",
        "카카오가 앱 키를 알지 못해요. kakao.client_id가 REST API 키인지 확인해 주세요."),
    row("redirect.invalid_scope", SetupWrong, Operator,
        "kakao.scopes names a consent item that is not set up. Set it up in Kakao's console, Kakao Login > Consent items, or remove it from kakao.scopes.",
        "kakao.scopes에 적은 동의항목 중에 카카오에서 설정하지 않은 것이 있어요. 카카오 콘솔의 카카오 로그인 > 동의항목에서 설정하거나 kakao.scopes에서 빼 주세요."),
    row("redirect.invalid_grant", SetupWrong, Operator,
        "Kakao refuses the login of this app. Check kakao.client_id and the redirect URI in Kakao's console: App > Platform keys > REST API key.",
        "카카오가 이 앱의 로그인을 거부했어요. kakao.client_id와 카카오 콘솔의 앱 > 플랫폼 키 > REST API 키에 등록한 리다이렉트 URI를 확인해 주세요."),
    row("redirect.misconfigured", SetupWrong, Operator,
        "The app is not set up for this login. Check its platforms and redirect URIs in Kakao's console: App > Platform keys.",
        "앱에 이 로그인에 필요한 설정이 없어요. 카카오 콘솔의 앱 > 플랫폼 키에서 플랫폼과 리다이렉트 URI를 확인해 주세요."),
    row("redirect.unauthorized", SetupWrong, Operator,
        "Kakao does not let this app log people in. Check in Kakao's console that Kakao Login is switched on.",
        "이 앱에는 카카오 로그인 권한이 없어요. 카카오 콘솔에서 카카오 로그인이 켜져 있는지 확인해 주세요."),
    row("redirect.unauthorized_client", SetupWrong, Operator,
        "Kakao does not let this app key log people in. Check kakao.client_id: it must be the REST API key.",
        "이 앱 키로는 카카오 로그인을 할 수 없어요. kakao.client_id가 REST API 키인지 확인해 주세요."),
    row("redirect.unsupported_response_type", SetupWrong, Operator,
        "Kakao does not support this response type. The service only asks for a code: look for a proxy that changes requests, or report it to the project.",
        "카카오가 지원하지 않는 response_type이에요. 이 서비스는 code만 요청하니, 요청을 바꾸는 프록시가 있는지 확인하고 없으면 kakao-auth 프로젝트에 알려 주세요."),
    row("redirect.unknown", KakaoBroken, Kakao,
        "Kakao sent the person back with an error that is not known. Log in again; if it stays, the operator asks Kakao on DevTalk.",
        "카카오가 알 수 없는 오류를 보냈어요. 다시 로그인해 보고, 계속되면 운영자가 카카오 데브톡에 문의해 주세요."),
    // --- what happens without a code of Kakao's
    row("network.timeout", TryLater, Kakao,
        "Kakao did not answer in time (kakao.timeout). Try again in a moment.",
        "카카오가 제시간(kakao.timeout)에 응답하지 않았어요. 잠시 후 다시 시도해 주세요."),
    row("network.unreachable", TryLater, Operator,
        "Kakao cannot be reached. If it stays, check the network, DNS and firewall of the login service, and kakao.auth_base_url and kakao.api_base_url.",
        "카카오에 연결할 수 없어요. 계속되면 로그인 서비스의 네트워크, DNS, 방화벽과 kakao.auth_base_url, kakao.api_base_url을 확인해 주세요."),
    row("network.broken", TryLater, Kakao,
        "The connection to Kakao broke off. Try again in a moment.",
        "카카오와의 연결이 끊겼어요. 잠시 후 다시 시도해 주세요."),
    row("quota.backoff", TryLater, Operator,
        "Kakao said a moment ago that a quota is used up, so it is left alone for some seconds. Try again in a moment; see KAPI-10.",
        "조금 전에 카카오 쿼터를 다 써서 몇 초 동안 호출을 멈췄어요. 잠시 후 다시 시도해 주세요. KAPI-10도 참고해 주세요."),
    row("reply.unreadable", KakaoBroken, Kakao,
        "Kakao's answer cannot be read. Try again; if it stays, the operator looks for a proxy in between, and checks kakao.auth_base_url and kakao.api_base_url.",
        "카카오의 응답을 읽을 수 없어요. 다시 시도해 보고, 계속되면 운영자가 중간에 프록시가 있는지와 kakao.auth_base_url, kakao.api_base_url을 확인해 주세요."),
    row("reply.busy", TryLater, Kakao,
        "Kakao is overloaded or has a fault. Try again in a moment.",
        "카카오에 요청이 몰렸거나 문제가 생겼어요. 잠시 후 다시 시도해 주세요."),
    row("reply.refused", SetupWrong, Operator,
        "Kakao refuses this app or this server, without saying why. Check the app keys, and the allowed IP addresses in Kakao's console.",
        "카카오가 이유를 알리지 않고 이 앱이나 서버의 요청을 거부했어요. 앱 키와 카카오 콘솔의 허용 IP 주소를 확인해 주세요."),
    row("reply.unknown", KakaoBroken, Kakao,
        "Kakao answered with an error that is not known. Try again; if it stays, the operator asks Kakao on DevTalk.",
        "카카오가 알 수 없는 오류로 응답했어요. 다시 시도해 보고, 계속되면 운영자가 카카오 데브톡에 문의해 주세요."),
    row("setup.setting", SetupWrong, Operator,
        "A setting of the section kakao is missing or cannot be used; the log of the service names it. Correct it and start the service again.",
        "kakao 설정 중에 빠졌거나 사용할 수 없는 값이 있어요. 서비스 로그에서 설정 이름을 확인하고, 고친 뒤 서비스를 다시 시작해 주세요."),
    // --- the ID token
    row("id_token.malformed", KakaoBroken, Kakao,
        "Kakao's ID token is not of the form that Kakao sends. Log in again; if it stays, the operator checks kakao.auth_base_url.",
        "카카오 ID 토큰의 형식이 올바르지 않아요. 다시 로그인해 보고, 계속되면 운영자가 kakao.auth_base_url을 확인해 주세요."),
    row("id_token.key", KakaoBroken, Kakao,
        "Kakao's ID token names a key that Kakao does not publish. Log in again in a minute; if it stays, the operator checks kakao.auth_base_url.",
        "카카오가 공개한 키 목록에 없는 키로 서명된 ID 토큰이에요. 1분 뒤에 다시 로그인해 보고, 계속되면 운영자가 kakao.auth_base_url을 확인해 주세요."),
    row("id_token.key_unseen", TryLater, Kakao,
        "Kakao's ID token names a key that was not there when Kakao's keys were read a moment ago. Try again in half a minute.",
        "조금 전에 읽은 카카오 공개 키 목록에 없던 키로 서명된 ID 토큰이에요. 30초쯤 뒤에 다시 시도해 주세요."),
    row("id_token.signature", KakaoBroken, Kakao,
        "The ID token is not signed by Kakao, or lacks a claim. Log in again; if it stays, the operator looks for a proxy in between.",
        "카카오가 서명하지 않았거나 필수 클레임이 빠진 ID 토큰이에요. 다시 로그인해 보고, 계속되면 운영자가 중간에 프록시가 있는지 확인해 주세요."),
    row("id_token.issuer", KakaoBroken, Operator,
        "The ID token names another issuer than kakao.auth_base_url. Check that setting.",
        "ID 토큰의 발급자가 kakao.auth_base_url과 달라요. 설정을 확인해 주세요."),
    row("id_token.audience", KakaoBroken, Operator,
        "The ID token is for another app key. Check kakao.client_id, and list the further keys of the same app in kakao.app_keys.",
        "다른 앱 키로 발급된 ID 토큰이에요. kakao.client_id를 확인하고, 같은 앱의 다른 키는 kakao.app_keys에 넣어 주세요."),
    row("id_token.expired", KakaoBroken, Operator,
        "The ID token has expired. Log in again; if it stays, check the clock of the server.",
        "ID 토큰이 만료됐어요. 다시 로그인해 보고, 계속되면 서버의 시계를 확인해 주세요."),
    row("id_token.future", KakaoBroken, Operator,
        "The ID token is from the future. Check the clock of the server.",
        "ID 토큰의 발급 시각이 현재보다 늦어요. 서버의 시계를 확인해 주세요."),
    row("id_token.nonce", KakaoBroken, Person,
        "The ID token is of another login. Log in again.",
        "다른 로그인에서 발급된 ID 토큰이에요. 다시 로그인해 주세요."),
    row("id_token.person", KakaoBroken, Kakao,
        "Kakao does not say clearly who logged in: the ID token has no member number, or another one than the profile. Log in again; if it stays, the operator asks Kakao on DevTalk.",
        "누가 로그인했는지 분명하지 않아요. ID 토큰의 회원번호가 없거나 프로필의 회원번호와 달라요. 다시 로그인해 보고, 계속되면 운영자가 카카오 데브톡에 문의해 주세요."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_the_paths_that_are_served() {
        use crate::domain::{Locale, paths};
        for (id, path) in
            [("KOE006", paths::KAKAO_CALLBACK), ("KOE007", paths::KAKAO_LOGOUT), ("KOE023", paths::AUTHORIZE)]
        {
            let row = KnownFault::find(id).unwrap();
            for locale in [Locale::Ko, Locale::En] {
                assert!(row.sentence(locale).contains(path), "{id}");
            }
        }
    }

    #[test]
    fn an_id_finds_its_row_and_nothing_else_does() {
        for row in KnownFault::ALL {
            assert_eq!(KnownFault::find(row.id), Some(row));
        }
        for id in ["", "KOE", "KOE10", "koe010", "KAPI401", "KOE0100"] {
            assert_eq!(KnownFault::find(id), None, "{id}");
        }
    }
}
