//! Faults: what the tenant does to chosen calls instead of, or before, answering them.

mod action;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use action::Action;
pub(crate) use action::{Cut, How, Names, Own, Plan};

use crate::reply::Reply;

/// A fault as one writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// What the ledger calls it; absent: `fault-N`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Absent: every method.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Absent: every path. `*` stands for any text, so a trailing one makes a prefix.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub(crate) skip: u64,
    /// How many calls it acts on after those; absent: all.
    #[serde(default)]
    pub(crate) times: Option<u64>,
    /// What it does.
    pub(crate) action: Action,
}

/// What is to happen to one call.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The name of the last fault that acts.
    pub(crate) fault: Option<String>,
    /// How long the call waits first.
    pub(crate) delay_milliseconds: u64,
    /// How it is answered after that.
    pub(crate) end: End,
}

/// How a call is answered.
#[derive(Debug)]
pub(crate) enum End {
    /// By the tenant.
    Tenant,
    /// By the tenant, with a change.
    Changed(Own),
    /// By a fault.
    Replaced {
        reply: Reply,
        /// How many seconds after the reply the date in its `Retry-After` is.
        retry_after_date_seconds: Option<i64>,
        /// How the call takes effect; none: not at all.
        plan: Option<Plan>,
        cut: Option<Cut>,
    },
    /// By nobody.
    Lost {
        how: How,
        patience: Duration,
        plan: Option<Plan>,
    },
}

/// The faults that are set, in the order in which they were.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Vec<Armed>,
    named: u64,
}

#[derive(Debug)]
struct Armed {
    name: String,
    fault: Fault,
    seen: u64,
    hits: u64,
}

/// A fault as `GET` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    name: &'a str,
    method: Option<&'a str>,
    path: Option<&'a str>,
    skip: u64,
    times: Option<u64>,
    action: &'a Action,
    /// How many calls matched.
    seen: u64,
    /// On how many of them it acted.
    hits: u64,
}

impl Faults {
    /// Reads one fault or a list of them.
    ///
    /// # Errors
    ///
    /// Text that is neither, an unknown key, or an answer that HTTP cannot carry.
    pub(crate) fn read(text: &str) -> Result<Vec<Fault>, String> {
        // Not an untagged enum: that would go through a buffer in which raw JSON cannot live.
        let faults: Vec<Fault> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text)
        } else {
            serde_json::from_str(text).map(|fault| vec![fault])
        }
        .map_err(|error| error.to_string())?;
        for fault in &faults {
            fault.check()?;
        }
        Ok(faults)
    }

    /// Sets faults and returns their names.
    pub(crate) fn add(&mut self, faults: Vec<Fault>) -> Vec<String> {
        let first = self.set.len();
        for fault in faults {
            self.named += 1;
            let name = fault
                .name
                .clone()
                .unwrap_or_else(|| format!("fault-{}", self.named));
            self.set.push(Armed {
                name,
                fault,
                seen: 0,
                hits: 0,
            });
        }
        self.set[first..]
            .iter()
            .map(|armed| armed.name.clone())
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }

    pub(crate) fn view(&self) -> impl Serialize {
        self.set
            .iter()
            .map(|armed| View {
                name: &armed.name,
                method: armed.fault.method.as_deref(),
                path: armed.fault.path.as_deref(),
                skip: armed.fault.skip,
                times: armed.fault.times,
                action: &armed.fault.action,
                seen: armed.seen,
                hits: armed.hits,
            })
            .collect::<Vec<_>>()
    }

    /// Counts a call and says what is to happen to it: delays add up, and the first fault that
    /// answers ends the search.
    pub(crate) fn judge(&mut self, method: &str, path: &str) -> Verdict {
        let mut verdict = Verdict {
            fault: None,
            delay_milliseconds: 0,
            end: End::Tenant,
        };
        for armed in &mut self.set {
            if !armed.fault.matches(method, path) {
                continue;
            }
            armed.seen += 1;
            let turn = armed.seen > armed.fault.skip
                && armed.fault.times.is_none_or(|times| armed.hits < times);
            if !turn {
                continue;
            }
            armed.hits += 1;
            verdict.fault = Some(armed.name.clone());
            verdict.end = match &armed.fault.action {
                Action::DelayMilliseconds(delay) => {
                    verdict.delay_milliseconds = verdict.delay_milliseconds.saturating_add(*delay);
                    continue;
                }
                // What cannot be built was refused when it was set.
                Action::Reply(canned) => match canned.end() {
                    Ok(end) => end,
                    Err(_) => continue,
                },
                Action::Respond(sample) => match sample.end() {
                    Ok(end) => end,
                    Err(_) => continue,
                },
                Action::Tenant(own) => End::Changed(own.clone()),
                Action::Lose(loss) => loss.end(),
            };
            return verdict;
        }
        verdict
    }
}

impl Fault {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method
            .as_deref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .path
                .as_deref()
                .is_none_or(|pattern| glob(pattern, path))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(path) = &self.path
            && !path.starts_with(['/', '*'])
        {
            return Err(format!("path {path:?} begins neither with / nor with *"));
        }
        self.action.check()
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text, also none.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some(at) = text.find(middle) else {
            return false;
        };
        text = &text[at + middle.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Faults {
        let mut faults = Faults::default();
        faults.add(Faults::read(text).unwrap());
        faults
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(glob("/a/*", "/a/b/c"));
        assert!(glob("/a/*/c", "/a/b/c"));
        assert!(glob("*", "/"));
        assert!(!glob("/a/*/d", "/a/b/c"));
        assert!(!glob("/a", "/a/b"));
        assert!(!glob("/aa*a", "/aa"));
    }

    #[test]
    fn a_fault_acts_on_the_calls_it_names_after_those_it_skips() {
        let mut faults = set(r#"{"method":"POST","path":"/x*","skip":1,"times":2,
                "action":{"reply":{"status":503}}}"#);
        let acts: Vec<bool> = (0..5)
            .map(|_| matches!(faults.judge("POST", "/x/y").end, End::Replaced { .. }))
            .collect();
        assert_eq!(acts, [false, true, true, false, false]);
        assert!(matches!(faults.judge("GET", "/x/y").end, End::Tenant));
        let view = serde_json::to_value(faults.view()).unwrap();
        assert_eq!((&view[0]["seen"], &view[0]["hits"]), (&5.into(), &2.into()));
    }

    #[test]
    fn a_delay_goes_on_to_the_next_fault() {
        let mut faults = set(r#"[{"name":"slow","action":{"delayMilliseconds":5}},
                {"name":"bad","action":{"reply":{"status":500,"body":"<html>"}}}]"#);
        let verdict = faults.judge("GET", "/");
        assert_eq!(
            (verdict.delay_milliseconds, verdict.fault.as_deref()),
            (5, Some("bad"))
        );
    }

    #[test]
    fn a_body_is_sent_as_it_was_written() {
        let mut faults = set(r#"{"action":{"respond":{"body":{"z":1e2,"a":9007199254740993}}}}"#);
        let End::Replaced { reply, plan, .. } = faults.judge("GET", "/").end else {
            panic!("not replaced");
        };
        assert!(plan.is_none());
        assert_eq!(reply.body, br#"{"z":1e2,"a":9007199254740993}"#);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            r#"{"action":{"explode":{}}}"#,
            r#"{"times":1}"#,
            r#"{"actions":{"delayMilliseconds":1}}"#,
            r#"{"action":{"reply":{"status":503,"retryAfter":1}}}"#,
            r#"{"action":{"reply":{"status":1000}}}"#,
            r#"{"action":{"reply":{"status":200,"headers":{"a b":"c"}}}}"#,
            r#"{"path":"data","action":{"delayMilliseconds":1}}"#,
            r#"{"action":{"reply":{"status":200,"headers":{"Content-Length":"9"}}}}"#,
            r#"{"action":{"reply":{"status":200,"commit":"later"}}}"#,
            r#"{"action":{"reply":{"status":200,"commit":{"after":1}}}}"#,
            r#"{"action":{"reply":{"status":200,"commit":{"times":3}}}}"#,
            r#"{"action":{"reply":{"status":200,"commit":{"againAfterMilliseconds":1}}}}"#,
            r#"{"action":{"reply":{"status":200,"commit":{"afterMilliseconds":86400001}}}}"#,
            r#"{"action":{"reply":{"status":200,"cut":{"how":"reset"}}}}"#,
            r#"{"action":{"reply":{"status":200,"cut":{"afterBytes":1,"how":"burn"}}}}"#,
            r#"{"action":{"reply":{"status":503,"retryAfterDateSeconds":"3"}}}"#,
            r#"{"action":{"lose":{}}}"#,
            r#"{"action":{"lose":{"how":"close","bytes":1}}}"#,
            r#"{"action":{"lose":{"how":"close","forMilliseconds":5}}}"#,
            r#"{"action":{"tenant":{"commit":false}}}"#,
            r#"{"action":{"tenant":{"names":"second"}}}"#,
            r#"{"action":{"tenant":{"patch":[{"op":"explode","path":"/id"}]}}}"#,
        ] {
            assert!(Faults::read(text).is_err(), "{text}");
        }
    }
}
