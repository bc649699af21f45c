//! The floor.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::web::{Data, Query};
use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    bind: SocketAddr,
    #[arg(long)]
    database_url: String,
    /// The simulated Kakao.
    #[arg(long)]
    kakao: String,
    /// Where the service's JWKS is: the same bytes are served.
    #[arg(long)]
    jwks: String,
    /// How many rows to refresh.
    #[arg(long, default_value_t = 64)]
    rows: i64,
}

struct Floor {
    pool: PgPool,
    http: reqwest::Client,
    kakao: String,
    jwks: Vec<u8>,
    key: EcdsaKeyPair,
    public: ParsedPublicKey,
    random: SystemRandom,
}

type Pairs = Query<Vec<(String, String)>>;

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .test_before_acquire(false)
        .connect(&options.database_url)
        .await?;
    for sql in [
        "DROP TABLE IF EXISTS floor_refresh",
        "DROP TABLE IF EXISTS floor_grants",
        "DROP TABLE IF EXISTS floor_users",
        "CREATE TABLE floor_refresh (id bigint PRIMARY KEY, generation bigint NOT NULL) WITH (fillfactor = 80)",
        "CREATE TABLE floor_users (id uuid PRIMARY KEY, kakao_id bigint UNIQUE, nickname text)",
        "CREATE TABLE floor_grants (id uuid PRIMARY KEY, user_id uuid NOT NULL)",
    ] {
        sqlx::query(sql).execute(&pool).await?;
    }
    sqlx::query("INSERT INTO floor_refresh SELECT i, 0 FROM generate_series(0, $1 - 1) i")
        .bind(options.rows)
        .execute(&pool)
        .await?;
    let http = reqwest::Client::builder().build()?;
    let jwks = http.get(&options.jwks).send().await?.bytes().await?.to_vec();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let floor = Data::from(Arc::new(Floor {
        pool,
        http,
        kakao: options.kakao,
        jwks,
        public: ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())?,
        key,
        random: SystemRandom::new(),
    }));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(floor.clone())
            .route("/jwks", web::get().to(jwks_document))
            .route("/refresh", web::post().to(refresh))
            .route("/sign", web::post().to(sign_one))
            .route("/introspect", web::post().to(introspect))
            .route("/login", web::get().to(login))
    });
    server.bind(options.bind)?.run().await?;
    Ok(())
}

async fn jwks_document(floor: Data<Floor>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/jwk-set+json").body(floor.jwks.clone())
}

async fn refresh(floor: Data<Floor>, query: Pairs) -> HttpResponse {
    let row: i64 = value(&query, "row").and_then(|text| text.parse().ok()).unwrap_or_default();
    let sql = "UPDATE floor_refresh SET generation = generation + 1 WHERE id = $1 RETURNING generation";
    let generation: Result<i64, _> = sqlx::query_scalar(sql).bind(row).fetch_one(&floor.pool).await;
    let Ok(generation) = generation else { return HttpResponse::InternalServerError().finish() };
    let Some(token) = sign(&floor) else { return HttpResponse::InternalServerError().finish() };
    HttpResponse::Ok().json(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 600, "refresh_token": generation.to_string(),
    }))
}

/// One signature.
async fn sign_one(floor: Data<Floor>) -> HttpResponse {
    let Some(token) = sign(&floor) else { return HttpResponse::InternalServerError().finish() };
    HttpResponse::Ok().json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 }))
}

/// One verification and one SELECT by the primary key.
async fn introspect(floor: Data<Floor>, query: Pairs) -> HttpResponse {
    let token = value(&query, "token").unwrap_or_default();
    let Some((input, signature)) = token.rsplit_once('.') else { return HttpResponse::BadRequest().finish() };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return HttpResponse::BadRequest().finish() };
    if floor.public.verify_sig(input.as_bytes(), &signature).is_err() {
        return HttpResponse::Ok().json(json!({ "active": false }));
    }
    let sql = "SELECT generation FROM floor_refresh WHERE id = $1";
    let found: Result<Option<i64>, _> = sqlx::query_scalar(sql).bind(1_i64).fetch_optional(&floor.pool).await;
    match found {
        Ok(found) => HttpResponse::Ok().json(json!({
            "active": found.is_some(), "token_type": "Bearer", "iss": "https://auth.example.com", "client_id": "load",
            "sub": Uuid::nil(), "scope": "profile", "exp": 600, "iat": 1, "aud": "orders", "jti": Uuid::nil(), "sid": Uuid::nil(),
        })),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn sign(floor: &Floor) -> Option<String> {
    let claims = json!({
        "iss": "https://auth.example.com", "sub": Uuid::nil(), "aud": "orders", "client_id": "load",
        "scope": "profile", "iat": 1, "nbf": 1, "exp": 600, "jti": Uuid::now_v7(), "sid": Uuid::nil(), "auth_time": 1,
    });
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD
            .encode(r#"{"alg":"ES256","typ":"at+jwt","kid":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = floor.key.sign(&floor.random, input.as_bytes()).ok()?;
    Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

async fn login(floor: Data<Floor>, query: Pairs) -> HttpResponse {
    match log_in(&floor, &query).await {
        Ok(grant) => {
            HttpResponse::SeeOther().insert_header(("Location", format!("/done?code={grant}"))).finish()
        }
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn log_in(floor: &Floor, query: &Pairs) -> anyhow::Result<Uuid> {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", value(query, "client_id").unwrap_or_default()),
        ("client_secret", value(query, "client_secret").unwrap_or_default()),
        ("redirect_uri", value(query, "redirect_uri").unwrap_or_default()),
        ("code", value(query, "code").unwrap_or_default()),
    ];
    let tokens: Value = floor
        .http
        .post(format!("{}/oauth/token", floor.kakao))
        .form(&form)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = tokens["access_token"].as_str().unwrap_or_default();
    let me: Value = floor
        .http
        .get(format!("{}/v2/user/me", floor.kakao))
        .bearer_auth(token)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let sql = "INSERT INTO floor_users (id, kakao_id, nickname) VALUES ($1, $2, $3)
               ON CONFLICT (kakao_id) DO UPDATE SET nickname = excluded.nickname RETURNING id";
    let user: Uuid = sqlx::query_scalar(sql)
        .bind(Uuid::now_v7())
        .bind(me["id"].as_i64())
        .bind(me["kakao_account"]["profile"]["nickname"].as_str())
        .fetch_one(&floor.pool)
        .await?;
    let grant = Uuid::now_v7();
    let sql = "INSERT INTO floor_grants (id, user_id) VALUES ($1, $2)";
    sqlx::query(sql).bind(grant).bind(user).execute(&floor.pool).await?;
    Ok(grant)
}

fn value<'a>(query: &'a Pairs, name: &str) -> Option<&'a str> {
    query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}
