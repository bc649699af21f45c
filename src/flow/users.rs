//! Tells backend services and persons what is known of a user: the profile, and consent as data.

use serde_json::{Value, json};

use super::Error;
use super::refusal::AccountRefusal;
use crate::domain::{ProfileField, Timestamp, User, UserId};
use crate::store::Db;
use crate::store::users;

/// What a backend service is told of a user.
pub(crate) async fn profile(db: &mut Db, id: UserId) -> Result<Value, Error<AccountRefusal>> {
    let user = users::find(db, id).await?.ok_or(AccountRefusal::NotFound)?;
    if user.deleted_at.is_some() {
        return Err(AccountRefusal::UserDeleted.into());
    }
    let mut profile = json!({
        "id": user.id,
        // Beyond 2^53: a number would be another one in JavaScript.
        "kakao_id": user.kakao_id.map(|id| id.to_string()),
        "email_verified": user.profile.email.as_ref().map(|_| user.profile.email_verified),
        "roles": user.roles,
        "disabled": user.disabled_at.is_some(),
        "created_at": user.created_at.secs(),
        "updated_at": user.updated_at.secs(),
        "last_login_at": user.last_login_at.secs(),
        "kakao": kakao(&user),
    });
    for field in ProfileField::ALL {
        profile[field.name()] = json!(user.profile.get(*field));
    }
    Ok(profile)
}

/// The link to Kakao and the consent that goes with it.
pub(crate) fn kakao(user: &User) -> Value {
    json!({
        "linked": user.kakao_id.is_some() && user.unlinked_at.is_none(),
        "unlinked_at": user.unlinked_at.map(Timestamp::secs),
        "scopes": user.consent.scopes,
        "needs_agreement": user.consent.needs_agreement,
        "service_terms": user.consent.service_terms,
        "age_range": user.profile.age_range,
        "under_14_refused_at": user.under_age_at.map(Timestamp::secs),
    })
}
