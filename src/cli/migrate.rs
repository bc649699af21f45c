//! `kakao-auth migrate`

use anyhow::Context;

use crate::settings::Settings;
use crate::store::Pool;

pub(super) fn run(settings: &Settings) -> anyhow::Result<()> {
    super::runtime::block_on(async {
        let pool = Pool::connect_lazy(settings.database.url.reveal(), 1)?;
        pool.migrate().await.context("the schema was not brought up to date")?;
        pool.close().await;
        println!("the schema is up to date");
        Ok(())
    })
}
