//! `GET, POST /oauth/userinfo` (OpenID Connect Core §5.3).

use actix_web::{HttpRequest, HttpResponse};

use super::{Shared, read, reply};
use crate::flow::{self, Error};

pub(super) async fn answer(request: HttpRequest, site: Shared) -> HttpResponse {
    let flow = async {
        let token = read::bearer(&request).map_err(Error::from)?;
        let mut db = site.db();
        let caller = flow::bearer(&site.deps, &mut db, &token).await?;
        flow::userinfo(&mut db, &caller).await
    };
    match super::in_time(flow).await {
        Ok(claims) => HttpResponse::Ok().json(claims),
        Err(error) => reply::bearer_json(&request, &error),
    }
}
