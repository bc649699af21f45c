//! `[telemetry]`

use super::reader::Reader;

/// `[telemetry]`
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// How log lines look.
    pub(crate) log_format: LogFormat,
    /// What is logged: a level, or directives such as `info,kakao_auth::flow=debug`.
    pub(crate) log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

pub(super) fn telemetry(r: &mut Reader) -> Option<Telemetry> {
    let log_format = r.choice(
        "telemetry.log_format",
        &[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("pretty", LogFormat::Pretty)],
    );
    let log_level = r.required("telemetry.log_level", |text| {
        if text.split(',').all(is_log_directive) {
            Ok(text.to_owned())
        } else {
            Err("it must be error, warn, info, debug or trace, or a list such as info,kakao_auth::flow=debug"
                .to_owned())
        }
    });
    Some(Telemetry { log_format, log_level: log_level? })
}

/// `level` or `module=level`. Whatever else the filter would take for a module that never logs is a mistake.
fn is_log_directive(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let (module, level) = text.trim().rsplit_once('=').map_or((None, text.trim()), |(m, l)| (Some(m), l));
    let is_module = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) && module.is_none_or(is_module)
}
