//! kapi's calls about one person or all of them: unlink, logout, consent items, service terms, lists.

use std::collections::BTreeSet;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::api::{admin, bearer, caller, is_by_admin, json_reply, refuse, rfc3339};
use crate::faults::{Due, Endpoint, due};
use crate::state::{Inner, State, get, pairs, query};

type Asked = Vec<(String, String)>;

/// Logs the call, plays a fault if one is due, and finds out whom the call is about.
async fn begin(
    request: &HttpRequest,
    state: &State,
    body: &[u8],
    endpoint: Endpoint,
) -> Result<(i64, Asked), HttpResponse> {
    let asked = asked(request, state, body, endpoint).await?;
    Ok((caller(state, request, &asked, endpoint)?, asked))
}

async fn asked(
    request: &HttpRequest,
    state: &State,
    body: &[u8],
    endpoint: Endpoint,
) -> Result<Asked, HttpResponse> {
    let form = pairs(body);
    state.log(request, endpoint, &form);
    if let Due::Answer(response) = due(state, endpoint).await {
        return Err(response);
    }
    let mut asked = query(request);
    asked.extend(form);
    Ok(asked)
}

fn answer(outcome: Result<Value, HttpResponse>) -> HttpResponse {
    outcome.map_or_else(|response| response, |body| json_reply(&body))
}

fn bad(message: &str) -> HttpResponse {
    refuse(HttpResponse::BadRequest(), message, -2)
}

pub(crate) async fn unlink(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let flow = async {
        let (id, _) = begin(&request, &state, &body, Endpoint::Unlink).await?;
        let now = state.now();
        state.with(|inner| inner.unlink(id, now));
        Ok(json!({ "id": id }))
    };
    answer(flow.await)
}

pub(crate) async fn logout(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let flow = async {
        let (id, _) = begin(&request, &state, &body, Endpoint::Logout).await?;
        let all = is_by_admin(&request) || state.with(|inner| inner.unconfirmed.logout_revokes_all);
        if all {
            state.with(|inner| inner.revoke(id, true));
        } else {
            let token = bearer(&state, &request)?;
            // This login's tokens: those that were issued with it.
            state.with(|inner| {
                inner.access_tokens.retain(|_, one| one.id != id || one.auth_time != token.auth_time);
                inner.refresh_tokens.retain(|_, one| one.id != id || one.auth_time != token.auth_time);
            });
        }
        Ok(json!({ "id": id }))
    };
    answer(flow.await)
}

/// A JSON list of texts, as Kakao wants some parameters.
fn list(asked: &Asked, name: &str) -> Result<Option<Vec<String>>, HttpResponse> {
    get(asked, name)
        .map(|text| {
            serde_json::from_str(text).map_err(|_| bad(&format!("{name} must be a JSON list of texts")))
        })
        .transpose()
}

/// The consent items of the console, and which the person has agreed to.
fn scopes_of(inner: &Inner, id: i64, only: Option<&[String]>) -> Value {
    let granted = inner.granted(id);
    let mut items: BTreeSet<&String> = inner.consent_items.iter().collect();
    items.extend(granted.iter());
    let rows: Vec<Value> = items
        .into_iter()
        .filter(|item| only.is_none_or(|only| only.contains(item)))
        .map(|item| {
            let agreed = granted.contains(item);
            let service = matches!(item.as_str(), "talk_message" | "friends");
            let mut row = json!({
                "id": item, "display_name": item, "type": if service { "SERVICE" } else { "PRIVACY" },
                "using": inner.consent_items.contains(item), "agreed": agreed,
            });
            if agreed {
                // The nickname is the required item here.
                row["revocable"] = json!(item != "profile_nickname");
            }
            row
        })
        .collect();
    json!({ "id": id, "scopes": rows })
}

pub(crate) async fn scopes(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let flow = async {
        let (id, asked) = begin(&request, &state, &body, Endpoint::Scopes).await?;
        let only = list(&asked, "scopes")?;
        Ok(state.with(|inner| scopes_of(inner, id, only.as_deref())))
    };
    answer(flow.await)
}

pub(crate) async fn revoke_scopes(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let flow = async {
        let (id, asked) = begin(&request, &state, &body, Endpoint::RevokeScopes).await?;
        let items = list(&asked, "scopes")?.ok_or_else(|| bad("scopes is required"))?;
        if let Some(unknown) =
            items.iter().find(|item| !state.with(|inner| inner.consent_items.contains(*item)))
        {
            return Err(bad(&format!("[{unknown}] is not a consent item")));
        }
        if items.iter().any(|item| item == "profile_nickname") {
            let message = "[profile_nickname] is not revocable. check out if it's set as required on developers.kakao.com";
            return Err(refuse(HttpResponse::Forbidden(), message, -3));
        }
        let now = state.now();
        Ok(state.with(|inner| {
            withdraw(inner, id, &items, now);
            scopes_of(inner, id, Some(&items))
        }))
    };
    answer(flow.await)
}

/// The person takes consent back.
pub(crate) fn withdraw(inner: &mut Inner, id: i64, items: &[String], now: i64) {
    if let Some(link) = inner.links.get_mut(&id) {
        for item in items {
            link.granted.remove(item);
            link.withdrawn.insert(item.clone());
        }
        inner.note(now, Some(id), format!("withdrew {}", items.join(" ")));
    }
}

fn tags(asked: &Asked) -> Result<Vec<String>, HttpResponse> {
    let tags = get(asked, "tags").ok_or_else(|| bad("tags is required"))?;
    Ok(tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

fn require_known(inner: &Inner, tags: &[String]) -> Result<(), HttpResponse> {
    match tags.iter().find(|tag| !inner.terms.iter().any(|term| term.tag == **tag)) {
        Some(unknown) => Err(bad(&format!("[{unknown}] is not a tag of this app"))),
        None => Ok(()),
    }
}

fn terms_of(inner: &Inner, id: i64, all: bool, only: Option<&[String]>) -> Value {
    let agreed = inner.links.get(&id).map(|link| link.terms.clone()).unwrap_or_default();
    let rows: Vec<Value> = inner
        .terms
        .iter()
        .filter(|term| {
            (all || agreed.contains_key(&term.tag)) && only.is_none_or(|only| only.contains(&term.tag))
        })
        .map(|term| {
            let mut row = json!({
                "tag": term.tag, "required": term.required, "revocable": term.revocable,
                "agreed": agreed.contains_key(&term.tag),
            });
            if let Some((at, by)) = agreed.get(&term.tag) {
                row["agreed_at"] = json!(rfc3339(*at));
                row["agreed_by"] = json!(by);
            }
            row
        })
        .collect();
    json!({ "id": id, "service_terms": rows })
}

pub(crate) async fn service_terms(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let flow = async {
        let (id, asked) = begin(&request, &state, &body, Endpoint::ServiceTerms).await?;
        let all = match get(&asked, "result") {
            None | Some("agreed_service_terms") => false,
            Some("app_service_terms") => true,
            Some(_) => return Err(bad("result must be agreed_service_terms or app_service_terms")),
        };
        let only = get(&asked, "tags").is_some().then(|| tags(&asked)).transpose()?;
        state.with(|inner| {
            require_known(inner, only.as_deref().unwrap_or_default())?;
            Ok(terms_of(inner, id, all, only.as_deref()))
        })
    };
    answer(flow.await)
}

pub(crate) async fn revoke_service_terms(
    request: HttpRequest,
    state: Data<State>,
    body: Bytes,
) -> HttpResponse {
    let flow = async {
        let (id, asked) = begin(&request, &state, &body, Endpoint::RevokeServiceTerms).await?;
        let tags = tags(&asked)?;
        state.with(|inner| {
            require_known(inner, &tags)?;
            if let Some(term) = inner.terms.iter().find(|term| tags.contains(&term.tag) && !term.revocable) {
                let message = format!("[{}] is not revocable", term.tag);
                return Err(refuse(HttpResponse::Forbidden(), &message, -3));
            }
            if let Some(link) = inner.links.get_mut(&id) {
                link.terms.retain(|tag, _| !tags.contains(tag));
            }
            let rows: Vec<Value> = tags.iter().map(|tag| json!({ "tag": tag, "agreed": false })).collect();
            Ok(json!({ "id": id, "revoked_service_terms": rows }))
        })
    };
    answer(flow.await)
}

pub(crate) async fn upgrade_service_terms(
    request: HttpRequest,
    state: Data<State>,
    body: Bytes,
) -> HttpResponse {
    let flow = async {
        let (id, asked) = begin(&request, &state, &body, Endpoint::UpgradeServiceTerms).await?;
        let tags = tags(&asked)?;
        let now = state.now();
        state.with(|inner| {
            require_known(inner, &tags)?;
            agree(inner, id, &tags, now, "KAPI");
            let terms = terms_of(inner, id, false, Some(&tags));
            Ok(json!({ "id": id, "agreed_service_terms": terms["service_terms"] }))
        })
    };
    answer(flow.await)
}

/// The person agrees to terms.
pub(crate) fn agree(inner: &mut Inner, id: i64, tags: &[String], now: i64, by: &'static str) {
    if let Some(link) = inner.links.get_mut(&id) {
        link.terms.extend(tags.iter().map(|tag| (tag.clone(), (now, by))));
    }
}

pub(crate) async fn ids(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let flow = async {
        let asked = asked(&request, &state, &[], Endpoint::Ids).await?;
        admin(&state, &request, Endpoint::Ids)?;
        let limit = get(&asked, "limit").map_or(Ok(100), str::parse::<usize>).unwrap_or(0);
        if !(1..=100).contains(&limit) {
            return Err(bad("limit must be 1 to 100"));
        }
        let from = get(&asked, "from_id")
            .map(str::parse::<i64>)
            .transpose()
            .map_err(|_| bad("from_id is not a number"))?;
        let descending = match get(&asked, "order") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(bad("order must be asc or desc")),
        };
        let now = state.now();
        let within = state.with(|inner| {
            inner.id_lists.retain(|at| *at > now - 60);
            inner.id_lists.push_back(now);
            inner.id_lists.len() <= 100
        });
        if !within {
            return Err(refuse(HttpResponse::TooManyRequests(), "API limit has been exceeded.", -10));
        }
        Ok(state.with(|inner| page_of(inner, &state, limit, from, descending)))
    };
    answer(flow.await)
}

fn page_of(inner: &Inner, state: &State, limit: usize, from: Option<i64>, descending: bool) -> Value {
    let mut all: Vec<i64> = inner.links.keys().copied().collect();
    if descending {
        all.reverse();
    }
    let start = from.map_or(0, |from| {
        all.iter().position(|id| if descending { *id <= from } else { *id >= from }).unwrap_or(all.len())
    });
    let page: Vec<i64> = all.iter().skip(start).take(limit).copied().collect();
    let order = if descending { "desc" } else { "asc" };
    let url = |from: i64| {
        format!(
            "{}/v1/user/ids?limit={limit}&order={order}&from_id={from}&app_key={}",
            state.base_url, state.app.admin_key
        )
    };
    let before = (start > 0).then(|| all[start.saturating_sub(limit)]).map(url);
    json!({ "elements": page, "before_url": before, "after_url": all.get(start + limit).copied().map(url) })
}

pub(crate) async fn app_users(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let flow = async {
        let asked = asked(&request, &state, &[], Endpoint::AppUsers).await?;
        admin(&state, &request, Endpoint::AppUsers)?;
        let ids: Vec<i64> = get(&asked, "target_ids")
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| bad("target_ids must be a JSON list of member numbers"))?;
        if ids.is_empty() || ids.len() > 100 || get(&asked, "target_id_type") != Some("user_id") {
            return Err(bad("target_ids must hold 1 to 100 member numbers, with target_id_type=user_id"));
        }
        Ok(state.with(|inner| {
            let found = ids.iter().filter_map(|id| {
                let link = inner.links.get(id)?;
                Some(inner.person_of(*id)?.me(*id, false, &rfc3339(link.connected_at), &link.withdrawn))
            });
            let found: Vec<Value> = found.collect();
            if inner.unconfirmed.app_users_in_elements { json!({ "elements": found }) } else { json!(found) }
        }))
    };
    answer(flow.await)
}
