//! Whether a platform may be called at all: not before it allows it again, and while it is down
//! by one call at a time.

use std::time::Duration;

use tokio::time::Instant;

/// So many calls in a row that failed mean that the platform is down, not that one call did not
/// get through.
const DOWN_AFTER: u32 = 5;
/// The first wait before one call asks whether it is up again, and the longest.
const DOWN: Wait = Wait {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(15),
};
/// The same after a 429 that names no time.
const THROTTLED: Wait = Wait {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(1),
};

/// How many times what the platform asks to wait may pass before the call that asks, less than two
/// by what a call takes.
const LATEST: f64 = 1.75;

struct Wait {
    first: Duration,
    longest: Duration,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The platform wants fewer calls.
    Throttled,
    /// It does not answer, or only with errors.
    Down,
}

/// What a call came to, as far as the next ones are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The platform answered, whatever it said.
    Answer,
    /// It wants fewer calls.
    Throttled {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// It failed, or could not be reached.
    Failure,
    /// Nothing was asked, or nobody waited for the answer.
    Nothing,
}

/// Whether calls may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// They may.
    Open {
        /// So many in a row failed.
        failures: u32,
    },
    /// None before a time; then one, whose answer decides.
    Shut {
        until: Instant,
        /// When that one is made at the latest, whatever the rate is; none: by the rate.
        latest: Option<Instant>,
        why: Why,
        /// How often in a row it was shut.
        times: u32,
    },
    /// One is under way.
    Probing {
        /// When it was to be made at the latest.
        latest: Option<Instant>,
        why: Why,
        times: u32,
    },
}

/// What a call may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One of many.
    Ordinary,
    /// The one whose answer decides.
    Probe,
}

impl Gate {
    pub(super) const OPEN: Self = Self::Open { failures: 0 };

    /// As what a call may be made now, if it may.
    pub(super) fn part(&self, now: Instant) -> Option<Part> {
        match *self {
            Self::Open { failures: _ } => Some(Part::Ordinary),
            Self::Shut { until, .. } if until <= now => Some(Part::Probe),
            Self::Shut { .. } | Self::Probing { .. } => None,
        }
    }

    /// Takes note that a call is made as this.
    pub(super) fn pass(&mut self, part: Part) {
        if let (
            Self::Shut {
                latest, why, times, ..
            },
            Part::Probe,
        ) = (*self, part)
        {
            *self = Self::Probing { latest, why, times };
        }
    }

    /// Takes note of what a call came to. `share` is drawn from [0, 1): half of a wait that the
    /// platform did not name is by chance, so that many do not come back together.
    pub(super) fn heard(&mut self, part: Part, heard: Heard, now: Instant, share: f64) {
        *self = match (*self, part, heard) {
            // Begun before it was shut, or after it had opened again.
            (
                Self::Shut {
                    until,
                    latest,
                    why,
                    times,
                },
                _,
                Heard::Throttled { retry_after },
            ) => Self::Shut {
                until: retry_after.map_or(until, |wait| until.max(now + wait)),
                latest: latest.max(at_the_latest(retry_after, now)),
                why,
                times,
            },
            (same @ Self::Shut { .. }, _, Heard::Answer | Heard::Failure | Heard::Nothing)
            | (
                same @ Self::Probing { .. },
                Part::Ordinary,
                Heard::Answer | Heard::Failure | Heard::Nothing,
            )
            | (same @ Self::Open { .. }, _, Heard::Nothing) => same,
            (Self::Probing { .. }, Part::Probe, Heard::Answer)
            | (Self::Open { .. }, _, Heard::Answer) => Self::OPEN,
            (Self::Probing { latest, why, times }, Part::Probe, Heard::Nothing) => Self::Shut {
                until: now,
                latest,
                why,
                times,
            },
            (Self::Probing { times, .. }, Part::Probe, Heard::Failure) => {
                down(times.saturating_add(1), now, share)
            }
            (Self::Probing { times, .. }, _, Heard::Throttled { retry_after }) => {
                throttled(times.saturating_add(1), retry_after, now, share)
            }
            (Self::Open { .. }, _, Heard::Throttled { retry_after }) => {
                throttled(1, retry_after, now, share)
            }
            (Self::Open { failures }, _, Heard::Failure) if failures + 1 >= DOWN_AFTER => {
                down(1, now, share)
            }
            (Self::Open { failures }, _, Heard::Failure) => Self::Open {
                failures: failures + 1,
            },
        };
    }

    /// Until when it is shut, and why.
    pub(super) fn shut(&self) -> Option<(Option<Instant>, Why)> {
        match *self {
            Self::Open { .. } => None,
            Self::Shut { until, why, .. } => Some((Some(until), why)),
            Self::Probing { why, .. } => Some((None, why)),
        }
    }
}

fn down(times: u32, now: Instant, share: f64) -> Gate {
    Gate::Shut {
        until: now + DOWN.of(times, share),
        latest: None,
        why: Why::Down,
        times,
    }
}

fn throttled(times: u32, retry_after: Option<Duration>, now: Instant, share: f64) -> Gate {
    Gate::Shut {
        until: now + retry_after.unwrap_or_else(|| THROTTLED.of(times, share)),
        latest: at_the_latest(retry_after, now),
        why: Why::Throttled,
        times,
    }
}

/// A platform that names a time may be called after it, and is called before it has passed twice:
/// each refusal in a storm lowers the rate, which would have it wait for half a minute. Of one that
/// names none the rate is all that there is.
fn at_the_latest(retry_after: Option<Duration>, now: Instant) -> Option<Instant> {
    retry_after.map(|wait| now + wait.mul_f64(LATEST))
}

impl Wait {
    /// Doubled each time, half of it by chance ("equal jitter").
    fn of(&self, times: u32, share: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        whole.mul_f64(f64::midpoint(1.0, share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Duration = Duration::from_secs(30);

    fn told(gate: &mut Gate, heard: Heard, now: Instant) {
        let part = gate.part(now).unwrap_or(Part::Ordinary);
        gate.pass(part);
        gate.heard(part, heard, now, 0.5);
    }

    #[test]
    fn nothing_is_sent_before_the_platform_allows_and_then_one_call_asks() {
        let now = Instant::now();
        let mut gate = Gate::OPEN;
        let retry_after = Some(ASKED);
        told(&mut gate, Heard::Throttled { retry_after }, now);
        assert_eq!(gate.part(now + ASKED - Duration::from_millis(1)), None);
        let then = now + ASKED;
        assert_eq!(gate.part(then), Some(Part::Probe));
        gate.pass(Part::Probe);
        assert_eq!(gate.part(then), None, "only one at a time");
        gate.heard(Part::Probe, Heard::Answer, then, 0.5);
        assert_eq!(gate, Gate::OPEN);
    }

    #[test]
    fn a_longer_wait_that_is_heard_meanwhile_counts() {
        let now = Instant::now();
        let mut gate = Gate::OPEN;
        for wait in [30, 5, 60] {
            let retry_after = Some(Duration::from_secs(wait));
            gate.heard(Part::Ordinary, Heard::Throttled { retry_after }, now, 0.5);
        }
        assert_eq!(gate.part(now + Duration::from_secs(59)), None);
        assert_eq!(gate.part(now + Duration::from_mins(1)), Some(Part::Probe));
    }

    #[test]
    fn failures_in_a_row_shut_it_and_an_answer_between_them_does_not_let_them_count() {
        let now = Instant::now();
        let mut gate = Gate::OPEN;
        for _ in 0..DOWN_AFTER - 1 {
            told(&mut gate, Heard::Failure, now);
        }
        told(&mut gate, Heard::Answer, now);
        for _ in 0..DOWN_AFTER - 1 {
            told(&mut gate, Heard::Failure, now);
        }
        assert_eq!(gate.part(now), Some(Part::Ordinary));
        told(&mut gate, Heard::Failure, now);
        assert_eq!(gate.shut().map(|(_, why)| why), Some(Why::Down));
    }

    #[test]
    fn while_it_is_down_one_call_at_a_time_asks_ever_more_seldom() {
        let mut now = Instant::now();
        let mut gate = down(1, now, 0.0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let (Some(until), _) = gate.shut().unwrap() else {
                panic!("{gate:?}")
            };
            waits.push(until - now);
            now = until;
            told(&mut gate, Heard::Failure, now);
        }
        assert_eq!(waits[0], Duration::from_millis(500));
        assert!(waits.is_sorted(), "{waits:?}");
        assert!(
            waits[7] >= DOWN.longest / 2 && waits[7] <= DOWN.longest,
            "{waits:?}"
        );
    }

    #[test]
    fn a_probe_that_nobody_waited_for_is_made_again() {
        let now = Instant::now();
        let mut gate = down(3, now, 0.0);
        let then = now + DOWN.longest;
        told(&mut gate, Heard::Nothing, then);
        assert_eq!(gate.part(then), Some(Part::Probe));
    }

    #[test]
    fn an_answer_to_what_was_asked_before_it_was_shut_does_not_open_it() {
        let now = Instant::now();
        let mut gate = Gate::OPEN;
        told(&mut gate, Heard::Throttled { retry_after: None }, now);
        gate.heard(Part::Ordinary, Heard::Answer, now, 0.5);
        assert_eq!(gate.part(now), None);
    }
}
