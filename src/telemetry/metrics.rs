//! The recorder of this process. [`install`] it once, and `counter!`, `gauge!` and `histogram!` work at any site;
//! [`render`] shows what was recorded.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::with_local_recorder;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of histograms in seconds, whose names end so.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Values of histograms are gathered until they are rendered or this long: so nobody has to scrape us for memory to stay
/// bounded.
const UPKEEP: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder, unless this process has it already: several services of one process share it.
///
/// # Errors
/// When another recorder was installed, or the thread that keeps it up cannot be started.
pub(crate) fn install() -> Result<(), InstallError> {
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let recorder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    let recorder = recorder.build_recorder();
    let handle = recorder.handle();
    if INSTALLED.set(handle.clone()).is_err() {
        // Another service of this process was first.
        return Ok(());
    }
    metrics::set_global_recorder(recorder).map_err(|_| InstallError::Another)?;
    super::sampling::describe();
    let keep_up = move || {
        loop {
            std::thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(keep_up)?;
    Ok(())
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// The `metrics` crate takes one recorder a process.
    #[error("another recorder of metrics was installed")]
    Another,
    /// The buckets do not fit.
    #[error("the recorder cannot be built")]
    Build(#[from] BuildError),
    /// No thread.
    #[error("the recorder cannot be kept up")]
    Thread(#[from] std::io::Error),
}

/// All that this process recorded, and what `snapshot` records now, in Prometheus' text format.
///
/// What is read anew for each scrape (the age of a key, rows that wait) is recorded by `snapshot` and by nothing else. It
/// has a recorder of its own each time: in the one of the process a series whose labels changed, such as a key's stage,
/// would stand for ever, and two services of one process would write over each other.
pub(crate) fn render(snapshot: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, snapshot);
    let mut text = INSTALLED.get().map(PrometheusHandle::render).unwrap_or_default();
    text.push_str(&recorder.handle().render());
    text
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram};

    use super::*;

    #[test]
    fn what_a_site_records_is_shown_beside_what_a_scrape_reads_and_only_that_is_new_each_time() {
        install().unwrap();
        install().unwrap();
        counter!("test_sites_total", "outcome" => "fine").increment(2);
        histogram!("test_duration_seconds").record(0.3);
        let text = render(|| gauge!("test_age", "stage" => "next").set(7.0));
        for line in [
            "test_sites_total{outcome=\"fine\"} 2",
            "test_duration_seconds_bucket{le=\"0.5\"} 1",
            "test_age{stage=\"next\"} 7",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
        let text = render(|| gauge!("test_age", "stage" => "current").set(8.0));
        assert!(
            text.contains("test_sites_total") && text.contains("current") && !text.contains("next"),
            "{text}"
        );
    }
}
