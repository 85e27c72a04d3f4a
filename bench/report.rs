//! Rows: what is measured, against which goal, and how it is printed.

use std::env;

use crate::{rows::SCENES, rows::Scene, statistics::spread};

/// A number that is measured.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    unit: &'static str,
    goal: Goal,
}

/// What a number should be.
#[derive(Clone, Copy, Debug)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
    /// Nothing: it is told beside another.
    None,
}

impl Row {
    /// One that should not be more than this.
    pub const fn at_most(name: &'static str, most: f64, unit: &'static str) -> Self {
        let goal = Goal::AtMost(most);
        Self { name, unit, goal }
    }

    /// One that should not be less than this.
    pub const fn at_least(name: &'static str, least: f64) -> Self {
        let (unit, goal) = ("", Goal::AtLeast(least));
        Self { name, unit, goal }
    }

    /// One that should be this.
    pub const fn exactly(name: &'static str, number: f64) -> Self {
        let (unit, goal) = ("", Goal::Exactly(number));
        Self { name, unit, goal }
    }

    /// One without a goal of its own.
    pub const fn told(name: &'static str, unit: &'static str) -> Self {
        let goal = Goal::None;
        Self { name, unit, goal }
    }
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Exactly(number) => (value - number).abs() < f64::EPSILON,
            Self::None => true,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtMost(most) => format!("<={}{unit}", number(most)),
            Self::AtLeast(least) => format!(">={}{unit}", number(least)),
            Self::Exactly(exact) => format!("={}{unit}", number(exact)),
            Self::None => "-".to_owned(),
        }
    }
}

/// What a scene has measured so far.
pub struct Report {
    scene: &'static Scene,
}

impl Report {
    /// Of a scene.
    pub fn new(scene: &'static Scene) -> Self {
        Self { scene }
    }

    /// Whether one of these rows is asked for.
    #[allow(
        clippy::unused_self,
        reason = "a scene asks its report what to measure"
    )]
    pub fn wants(&self, names: &[&str]) -> bool {
        names.iter().any(|name| selected(name))
    }

    /// A row, if it is asked for.
    pub fn row(&self, name: &str, value: f64) {
        let mut rows = self.scene.rows.iter();
        let row = rows
            .find(|row| row.name == name)
            .expect("a row of the scene");
        if selected(name) {
            let met = if row.goal.is_met(value) { "ok" } else { "miss" };
            let (value, goal) = (number(value), row.goal.text(row.unit));
            println!("{name} {value}{} {goal} {met}", row.unit);
        }
    }

    /// A row of several runs: the worst is the row, and the spread is told beside it.
    pub fn worst_of(&self, name: &str, values: &[f64]) {
        let worst = values.iter().copied().fold(f64::MIN, f64::max);
        self.row(name, worst);
        if selected(name) {
            self.note(&format!("{name}: {}", spread(values)));
        }
    }

    /// Something to know beside the rows.
    #[allow(
        clippy::unused_self,
        reason = "what a scene tells, it tells through its report"
    )]
    pub fn note(&self, text: &str) {
        println!("# {text}");
    }
}

/// Whether a row is asked for: `ROWS` names some, by commas; absent: all.
pub fn selected(name: &str) -> bool {
    rows_asked_for().is_none_or(|rows| rows.iter().any(|row| row == name))
}

/// The rows that are asked for and that no scene has.
pub fn unknown() -> Vec<String> {
    let known = |name: &String| {
        let mut rows = SCENES.iter().flat_map(|scene| scene.rows);
        rows.any(|row| row.name == *name)
    };
    let mut rows = rows_asked_for().unwrap_or_default();
    rows.retain(|name| !known(name));
    rows
}

fn rows_asked_for() -> Option<Vec<String>> {
    let rows = env::var("ROWS").ok().filter(|rows| !rows.is_empty())?;
    Some(rows.split(',').map(|row| row.trim().to_owned()).collect())
}

/// A number of the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// How often a time is measured.
pub fn runs() -> u64 {
    setting("RUNS", 5)
}

/// Three digits are more than any of these numbers is worth; a whole number is one.
fn number(value: f64) -> String {
    if value.fract().abs() < 1e-9 {
        return format!("{value:.0}");
    }
    let digits: usize = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 1.0 {
        2
    } else {
        4
    };
    format!("{value:.digits$}")
}
