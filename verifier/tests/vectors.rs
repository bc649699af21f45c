//! The vectors of the revocation feed, `verifiers/vectors/revocation-feed.json`: verifiers in every language read them, so
//! does this one, and `UPDATE_VECTORS=1` writes them anew, signed by a new key.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::needless_pass_by_value, reason = "the cases are written as literals")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kakao_auth_verifier::testing::verifier_of;
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example.com";
const NOW: i64 = 1_800_000_000;
const SID: &str = "01a20875-c4f8-716e-aeec-93a82e38191f";
const OTHER_SID: &str = "01a20875-c4f8-716e-aeec-93a82e38192f";
const SUB: &str = "01a20875-c4f8-716e-aeec-93a82e381920";
const OTHER_SUB: &str = "01a20875-c4f8-716e-aeec-93a82e381930";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../verifiers/vectors/revocation-feed.json")
}

fn entry(claim: &str, value: &str) -> String {
    let text = [ISSUER, claim, value].join("\0");
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..12])
}

struct Writer {
    pair: EcdsaKeyPair,
    other: EcdsaKeyPair,
}

impl Writer {
    fn new() -> Self {
        let pair = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { pair: pair(), other: pair() }
    }

    fn jwks(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "vectors",
               "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}]})
    }

    fn sign(pair: &EcdsaKeyPair, header: &Value, payload: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// An answer that a verifier accepts, to a request with this cursor.
    fn good(&self, after: Option<&str>, payload: Value) -> Value {
        let jwt = Self::sign(&self.pair, &header(), &payload);
        json!({"now": NOW, "after": after, "accepted": true, "payload": payload, "jwt": jwt})
    }

    fn bad(&self, why: &str, after: Option<&str>, header: Value, payload: Value) -> Value {
        let jwt = Self::sign(&self.pair, &header, &payload);
        json!({"now": NOW, "after": after, "accepted": false, "why": why, "payload": payload, "jwt": jwt})
    }
}

fn header() -> Value {
    json!({"typ": "revocations+jwt", "alg": "ES256", "kid": "vectors"})
}

fn with(mut value: Value, changes: Value) -> Value {
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    value
}

fn empty() -> Value {
    json!({"iss": ISSUER, "iat": NOW, "window": 720, "cursor": "0", "complete": true, "sids": [], "subs": {}})
}

fn good() -> Value {
    let subs = json!({(entry("sub", OTHER_SUB)): NOW - 30});
    with(empty(), json!({"cursor": "119999999", "sids": [entry("sid", SID)], "subs": subs}))
}

fn delta() -> Value {
    let changes = json!({"cursor": "120000000", "complete": false, "after": "119999999",
                         "sids": [entry("sid", OTHER_SID)], "subs": {}});
    with(empty(), changes)
}

fn token(sid: &str, sub: &str, iat: i64, revoked: bool) -> Value {
    json!({"sid": sid, "sub": sub, "iat": iat, "revoked": revoked})
}

fn accepted(writer: &Writer) -> Vec<Value> {
    let whole = writer.good(None, good());
    let case = |name: &str, answers: Vec<Value>, tokens: Vec<Value>| json!({"name": name, "answers": answers, "tokens": tokens});
    let all = with(good(), json!({"refuse_before": NOW - 60}));
    let unknown = with(empty(), json!({"cursor": "120000001", "sids": [entry("sid", OTHER_SID)]}));
    let (earlier, later) = (json!({(entry("sub", SUB)): NOW - 300}), json!({(entry("sub", SUB)): NOW - 100}));
    vec![
        case("nothing has ended", vec![writer.good(None, empty())], vec![token(SID, SUB, NOW, false)]),
        case(
            "a grant and a user",
            vec![whole.clone()],
            vec![
                token(SID, SUB, NOW, true),
                token(OTHER_SID, SUB, NOW, false),
                token(OTHER_SID, OTHER_SUB, NOW - 31, true),
                token(OTHER_SID, OTHER_SUB, NOW - 30, false),
                json!({"sid": null, "sub": OTHER_SUB, "iat": NOW - 31, "revoked": true}),
                // A value is hashed with the name of its claim.
                token(SUB, SID, NOW - 600, false),
            ],
        ),
        case(
            "more has ended than is listed: everything issued before a time is refused",
            vec![writer.good(None, all)],
            vec![
                token(OTHER_SID, SUB, NOW - 61, true),
                token(OTHER_SID, SUB, NOW - 60, false),
                json!({"sid": null, "sub": "a-client", "iat": NOW - 61, "revoked": true}),
                token(SID, SUB, NOW, true),
            ],
        ),
        case(
            "what is newer than a cursor is added to what is known",
            vec![whole.clone(), writer.good(Some("119999999"), delta())],
            vec![
                token(SID, SUB, NOW, true),
                token(OTHER_SID, SUB, NOW, true),
                token(SID, OTHER_SUB, NOW - 31, true),
            ],
        ),
        case(
            "the whole list after an unknown cursor takes nothing away",
            vec![whole.clone(), writer.good(Some("119999999"), unknown)],
            vec![token(SID, SUB, NOW, true), token(OTHER_SID, SUB, NOW, true)],
        ),
        case(
            "a replica that lags behind takes nothing away",
            vec![whole.clone(), writer.good(Some("119999999"), with(empty(), json!({"iat": NOW - 2})))],
            vec![token(SID, SUB, NOW, true), token(OTHER_SID, OTHER_SUB, NOW - 31, true)],
        ),
        case(
            "a not-before time never goes back",
            vec![
                writer.good(None, with(empty(), json!({"subs": later}))),
                writer.good(None, with(empty(), json!({"subs": earlier}))),
            ],
            vec![token(SID, SUB, NOW - 101, true), token(SID, SUB, NOW - 100, false)],
        ),
        case(
            "unknown members are ignored",
            vec![writer.good(None, with(good(), json!({"new": {"member": 1}})))],
            vec![token(SID, SUB, NOW, true)],
        ),
    ]
}

fn refused(writer: &Writer) -> Vec<Value> {
    let bad = |why, changes| writer.bad(why, None, header(), with(good(), changes));
    let bad_header = |why, changes| writer.bad(why, None, with(header(), changes), good());
    let mut forged = bad("the signature is of another key", json!({}));
    forged["jwt"] = json!(Writer::sign(&writer.other, &header(), &good()));
    let other_question = writer.bad(
        "it goes on from another cursor than was asked with",
        Some("119999990"),
        header(),
        delta(),
    );
    let no_question = writer.bad("it goes on from a cursor and none was asked with", None, header(), delta());
    let answers = [
        forged,
        bad_header("no key of the issuer has this kid", json!({"kid": "unknown"})),
        bad_header("typ is that of an access token", json!({"typ": "at+jwt"})),
        bad_header("typ is missing", json!({"typ": null})),
        bad_header("alg is none", json!({"alg": "none"})),
        bad_header("alg is not that of the key", json!({"alg": "RS256"})),
        bad_header("crit is not understood", json!({"crit": ["b64"], "b64": false})),
        bad("another issuer", json!({"iss": "https://other.example.com"})),
        bad("stale: older than the window", json!({"iat": NOW - 721})),
        bad("from the future, beyond the leeway", json!({"iat": NOW + 31})),
        bad("complete is missing", json!({"complete": null})),
        bad("an entry is not 96 bits", json!({"sids": ["AAAA"]})),
        bad("sids is missing", json!({"sids": null})),
        other_question,
        no_question,
    ];
    // What was known stays.
    let before = writer.good(None, with(empty(), json!({"sids": [entry("sid", OTHER_SID)]})));
    let case = |answer: Value| {
        json!({"name": format!("refused: {}", answer["why"].as_str().unwrap()), "answers": [before, answer],
               "tokens": [token(OTHER_SID, SUB, NOW, true), token(SID, SUB, NOW, false)]})
    };
    answers.into_iter().map(case).collect()
}

fn write() {
    let writer = Writer::new();
    let entries: Vec<Value> =
        [("sid", SID), ("sid", OTHER_SID), ("sub", SUB), ("sub", OTHER_SUB), ("sid", SUB)]
            .map(|(claim, value)| json!({"claim": claim, "value": value, "entry": entry(claim, value)}))
            .into();
    // What the service makes the answer of the second case of.
    let service = json!({
        "now": NOW, "window": 720,
        "ended_grants": [{"sid": SID, "sub": SUB, "ended_at": NOW - 10, "refreshed_at": NOW - 100}],
        "ended_users": [{"sub": OTHER_SUB, "tokens_valid_from": NOW - 30}],
        "payload": good(),
    });
    let mut cases = accepted(&writer);
    cases.extend(refused(&writer));
    let document = json!({
        "about": "Answers of GET /v1/revocations, in order, and what a verifier makes of them: whether it accepts each, and which tokens it then refuses. Each case begins with nothing known. `now` is the verifier's clock, its leeway 30 seconds; `after` is the cursor that it asked with. See docs/revocation-feed.md.",
        "issuer": ISSUER, "jwks": writer.jwks(), "entries": entries, "service": service, "cases": cases,
    });
    std::fs::write(path(), serde_json::to_string_pretty(&document).unwrap() + "\n").unwrap();
}

#[tokio::test]
async fn the_vectors_of_the_revocation_feed_hold() {
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        write();
    }
    let document: Value = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    let issuer = document["issuer"].as_str().unwrap();
    for one in document["entries"].as_array().unwrap() {
        assert_eq!(one["entry"], entry(one["claim"].as_str().unwrap(), one["value"].as_str().unwrap()));
    }
    let cases = document["cases"].as_array().unwrap();
    assert!(cases.len() >= 20, "{}", cases.len());
    for case in cases {
        let clock = Arc::new(AtomicI64::new(0));
        let now = Arc::clone(&clock);
        let now = Arc::new(move || now.load(Ordering::SeqCst));
        let jwks = document["jwks"].to_string();
        let verifier = verifier_of(issuer, "orders", jwks.as_bytes(), now);
        for answer in case["answers"].as_array().unwrap() {
            clock.store(answer["now"].as_i64().unwrap(), Ordering::SeqCst);
            let taken = verifier.take_feed(answer["jwt"].as_str().unwrap(), answer["after"].as_str()).await;
            assert_eq!(taken.is_ok(), answer["accepted"].as_bool().unwrap(), "{}: {taken:?}", case["name"]);
        }
        for token in case["tokens"].as_array().unwrap() {
            let (sub, iat) = (token["sub"].as_str().unwrap(), token["iat"].as_i64().unwrap());
            let revoked = verifier.is_revoked(token["sid"].as_str(), sub, iat);
            assert_eq!(revoked, token["revoked"].as_bool().unwrap(), "{}: {token}", case["name"]);
        }
    }
}
