//! Asks Kakao whether our set-up there can work, without logging anybody in and without changing anything: what `doctor` knows
//! of Kakao.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::DATE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Authorize, Fault, Kakao, wire};
use crate::domain::{KakaoCode, Timestamp, Verifier};

/// How far two clocks are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skew {
    /// Kakao's clock is ahead of ours by so much.
    Ahead(Duration),
    /// Kakao's clock is behind ours by so much.
    Behind(Duration),
}

impl Skew {
    /// How far, either way.
    pub(crate) fn length(self) -> Duration {
        match self {
            Self::Ahead(length) | Self::Behind(length) => length,
        }
    }
}

/// What Kakao says to a code that never was: with the right key and secret it is just that.
const NO_CODE: &str = "kakao-auth-doctor";

impl Kakao {
    /// Whether Kakao answers, and what its clock says (`GET /.well-known/jwks.json`, `Date`).
    ///
    /// # Errors
    /// When it does not answer, or not with its keys.
    pub(crate) async fn probe_clock(&self) -> Result<Option<Skew>, Fault> {
        let before = self.0.clock.now();
        let reply = self.0.http.get(self.auth("/.well-known/jwks.json")?).send().await;
        let reply = reply.map_err(|error| Fault::network(&error))?;
        let after = self.0.clock.now();
        let status = reply.status().as_u16();
        let date = reply.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok());
        if status != 200 {
            return Err(Fault::unreadable(status, "the JWKS"));
        }
        Ok(date.map(|date| skew(Timestamp::from_secs(date.unix_timestamp()), before, after)))
    }

    /// Whether the authorize page takes our key and redirect URI, and these consent items beyond the configured ones. Nobody is
    /// asked anything: `prompt=none`.
    ///
    /// # Errors
    /// What Kakao's error page says.
    pub(crate) async fn probe_authorize(&self, more_scopes: &[String]) -> Result<(), Fault> {
        let url = self.authorize_url(&Authorize {
            state: NO_CODE,
            nonce: NO_CODE,
            // Of no verifier that anybody knows.
            challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            prompt: Some("none"),
            login_hint: None,
            more_scopes,
        });
        let (status, body) = self.raw(self.0.http.get(url)).await?;
        if (300..400).contains(&status) {
            return Ok(());
        }
        Err(match koe_of_page(&body) {
            Some(number) => Fault::of_koe(status, number),
            None if status == 200 => return Ok(()),
            None => Fault::unreadable(status, "the authorize page"),
        })
    }

    /// Whether the token endpoint takes our key and this secret.
    ///
    /// # Errors
    /// KOE101 or KOE010 for a key or secret that is not right; a fault of Kakao's.
    pub(crate) async fn probe_secret(&self, with_secret: bool) -> Result<(), Fault> {
        let mut form = wire::code_form(&self.0.app, &KakaoCode::new(NO_CODE), &Verifier::new("a".repeat(43)));
        if !with_secret {
            form.retain(|(name, _)| *name != "client_secret");
        }
        let (status, body) = self.raw(self.0.http.post(self.auth("/oauth/token")?).form(&form)).await?;
        match Fault::of_auth(status, &body) {
            fault if fault.is_spent_code() => Ok(()),
            fault => Err(fault),
        }
    }

    /// Whether the admin key may unlink, and read people and what they agreed to: asked without saying whom, so that nobody
    /// is.
    ///
    /// # Errors
    /// −401 for a wrong key, −3 for one that may not; a fault of Kakao's.
    pub(crate) async fn probe_admin_key(&self) -> Result<(), Fault> {
        let nobody = [("target_id_type", "user_id")];
        let request = self.by_admin(self.0.http.post(self.api("/v1/user/unlink")?))?;
        let (status, body) = self.raw(request.form(&nobody)).await?;
        match Fault::of_api(status, &body) {
            fault if fault.is_bad_argument() || fault.is_not_linked() => {}
            fault => return Err(fault),
        }
        for path in ["/v2/user/me", "/v2/user/scopes"] {
            let request = self.by_admin(self.0.http.get(self.api(path)?))?;
            let (status, body) = self.raw(request.query(&nobody)).await?;
            // What else Kakao answers to this is not documented; the key itself is right.
            let fault = Fault::of_api(status, &body);
            if fault.is_not_allowed() {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// A reply as it is, redirects and pages too. Nothing is counted: nobody's login is at stake.
    async fn raw(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), Fault> {
        let mut reply = request.send().await.map_err(|error| Fault::network(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|error| Fault::network(&error))? {
            if body.len() + chunk.len() > super::LARGEST_REPLY {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok((reply.status().as_u16(), body))
    }
}

/// The `Date` of a reply is a whole second, somewhere between question and answer.
fn skew(theirs: Timestamp, before: Timestamp, after: Timestamp) -> Skew {
    if theirs > after {
        Skew::Ahead(theirs.since(after))
    } else {
        Skew::Behind(before.since(theirs + Duration::from_secs(1)))
    }
}

/// The code that Kakao's error page shows.
fn koe_of_page(body: &[u8]) -> Option<u32> {
    let page = String::from_utf8_lossy(body);
    page.match_indices("KOE").find_map(|(at, _)| {
        let digits = page.get(at + 3..at + 6)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_page_is_found_and_nothing_else_is() {
        assert_eq!(koe_of_page("<h1>앱 관리자 설정 오류 (KOE006)</h1>".as_bytes()), Some(6));
        assert_eq!(koe_of_page(b"KOE KOE1 KOExyz <b>KOE205</b>"), Some(205));
        for none in [&b""[..], b"KOE", b"KOE12", b"\xff\xfeKOE\xff", "KOE한".as_bytes()] {
            assert_eq!(koe_of_page(none), None);
        }
    }

    #[test]
    fn a_clock_within_the_question_and_the_answer_is_right() {
        let at = Timestamp::from_micros;
        let (before, after) = (at(10_400_000), at(10_600_000));
        assert_eq!(skew(at(10_000_000), before, after).length(), Duration::ZERO);
        assert_eq!(skew(at(17_000_000), before, after), Skew::Ahead(Duration::from_millis(6_400)));
        assert_eq!(skew(at(3_000_000), before, after), Skew::Behind(Duration::from_millis(6_400)));
    }
}
