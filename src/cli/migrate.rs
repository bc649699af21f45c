//! `kakao-auth migrate`

use anyhow::Context;

use crate::settings::Settings;
use crate::store::Db;

pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    super::block_on(async {
        let db = Db::connect_lazy(settings.database.url.reveal(), 1)?;
        db.migrate().await.context("the schema was not brought up to date")?;
        db.close().await;
        println!("the schema is up to date");
        Ok(())
    })
}
