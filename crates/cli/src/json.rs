//! What `--json` writes: the types of `wire`, with times as numbers of seconds.

use serde::Serialize;
use serde_json::{Map, Value};

/// `value` as JSON in which every duration `x: {secs, nanos}` is a number of seconds `x_s`.
pub(crate) fn plain(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => in_seconds(value),
        // The types of `wire` are maps with text keys all the way down; a text still says what went wrong.
        Err(error) => Value::String(format!("not writable as JSON: {error}")),
    }
}

fn in_seconds(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(in_seconds).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| match duration(&value) {
                Some(seconds) => (format!("{key}_s"), seconds.into()),
                None => (key, in_seconds(value)),
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// The seconds of what serde writes for a `Duration`.
fn duration(value: &Value) -> Option<f64> {
    let entries = value.as_object().filter(|entries| entries.len() == 2)?;
    let seconds = entries.get("secs")?.as_u64()?;
    let nanoseconds = entries.get("nanos")?.as_u64()?;
    Some(seconds as f64 + nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_become_seconds_at_every_depth() {
        #[derive(Serialize)]
        struct Inner {
            busy_for: Option<Duration>,
            idle_for: Option<Duration>,
        }
        #[derive(Serialize)]
        struct Outer {
            up_for: Duration,
            list: Vec<Inner>,
        }
        let value = plain(&Outer {
            up_for: Duration::from_millis(1500),
            list: vec![Inner {
                busy_for: Some(Duration::from_secs(2)),
                idle_for: None,
            }],
        });
        assert_eq!(
            value.to_string(),
            r#"{"list":[{"busy_for_s":2.0,"idle_for":null}],"up_for_s":1.5}"#
        );
    }
}
