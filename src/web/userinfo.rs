//! `GET, POST /oauth/userinfo` (OpenID Connect Core §5.3).

use actix_web::{HttpRequest, HttpResponse};

use super::{Shared, error, read};
use crate::flow::{self, Error};

pub(super) async fn answer(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let token = read::bearer(&request).map_err(Error::from)?;
        let caller = flow::bearer(&site.deps, &token).await?;
        flow::userinfo(&site.deps, &caller).await
    };
    match super::in_time(flow).await {
        Ok(claims) => HttpResponse::Ok().json(claims),
        Err(error) => error::bearer_json(&request, &error),
    }
}
