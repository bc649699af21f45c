//! Jobs are watched over: server and jobs end together, and either's failure is the process's.

use std::time::{Duration, Instant};

use kakao_auth::jobs::{Again, Job};
use reqwest::StatusCode;
use tokio::sync::watch;

use crate::rig::{Rig, Setup, http};

/// A job that panics once it is told to.
fn dying(when: &watch::Receiver<bool>) -> Job {
    let when = when.clone();
    Job::new("dying", Duration::from_millis(10), move |_| {
        let now = *when.borrow();
        async move {
            assert!(!now, "poison");
            Ok(Again::Later)
        }
    })
}

#[tokio::test]
async fn a_job_that_dies_ends_the_process_with_an_error_and_what_is_under_way_is_answered() {
    let mut rig = Rig::with(Setup { instances: 0, ..Setup::default() }).await;
    let (kill, killed) = watch::channel(false);
    rig.add_instance_with_job(&Setup::default(), dying(&killed)).await;
    rig.tokens().await;
    // A long poll of the feed is under way when the job dies.
    let feed = http().get(rig.url(0, "/v1/revocations")).send().await.unwrap();
    let etag = feed.headers()["etag"].to_str().unwrap().to_owned();
    let poll = http().get(rig.url(0, "/v1/revocations?wait=1")).header("If-None-Match", etag).send();
    let poll = tokio::spawn(poll);
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill.send_replace(true);
    let began = Instant::now();
    let error = rig.end(0).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(format!("{error:#}").split(':').next(), Some("the job dying died"), "{error:#}");
    let status = poll.await.unwrap().unwrap().status();
    assert!(status == StatusCode::OK || status == StatusCode::NOT_MODIFIED, "{status}");
    assert!(http().get(rig.url(0, "/health/live")).send().await.is_err(), "it serves no more");
}
