//! Rows: what is measured, against which goal, and how it is printed.

use std::env;

use crate::{
    rows::{SCENES, Scene},
    statistics::{number, spread},
};

/// A number that is measured.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    unit: &'static str,
    goal: Goal,
    /// Whether it takes a run of its whole scene to measure it once more.
    again: bool,
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
        Self::new(name, unit, Goal::AtMost(most))
    }

    /// One that should not be less than this.
    pub const fn at_least(name: &'static str, least: f64) -> Self {
        Self::new(name, "", Goal::AtLeast(least))
    }

    /// One that should be this.
    pub const fn exactly(name: &'static str, number: f64) -> Self {
        Self::new(name, "", Goal::Exactly(number))
    }

    /// One without a goal of its own.
    pub const fn told(name: &'static str, unit: &'static str) -> Self {
        Self::new(name, unit, Goal::None)
    }

    const fn new(name: &'static str, unit: &'static str, goal: Goal) -> Self {
        let again = false;
        Self {
            name,
            unit,
            goal,
            again,
        }
    }

    /// The same, measured in several runs of its scene: once in each.
    pub const fn in_each_run(self) -> Self {
        Self {
            again: true,
            ..self
        }
    }

    /// Whether it is measured in each run of its scene.
    pub const fn is_in_each_run(&self) -> bool {
        self.again
    }

    /// The value that a line of this row tells; of another line nothing.
    pub fn value(&self, line: &str) -> Option<f64> {
        let mut words = line.split(' ');
        let value = (words.next() == Some(self.name)).then(|| words.next())??;
        value.strip_suffix(self.unit)?.parse().ok()
    }

    /// The line that tells a value of it.
    fn line(&self, value: f64) -> String {
        let met = if self.goal.is_met(value) {
            "ok"
        } else {
            "miss"
        };
        let (value, goal) = (number(value), self.goal.text(self.unit));
        format!("{} {value}{} {goal} {met}", self.name, self.unit)
    }

    /// The lines that tell the values of several runs: the worst is the row, and the spread is told
    /// beside it.
    pub fn lines(&self, values: &[f64]) -> [String; 2] {
        let spread = format!("# {}: {}", self.name, spread(values));
        [self.line(self.goal.worst(values)), spread]
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

    fn worst(self, values: &[f64]) -> f64 {
        let values = values.iter().copied();
        let badness = |value: &f64| match self {
            Self::AtMost(_) | Self::None => *value,
            Self::AtLeast(_) => -value,
            Self::Exactly(number) => (value - number).abs(),
        };
        let worst = values.max_by(|one, other| badness(one).total_cmp(&badness(other)));
        worst.expect("a run")
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
        if selected(name) {
            println!("{}", self.find(name).line(value));
        }
    }

    /// A row of several runs within the scene.
    pub fn worst_of(&self, name: &str, values: &[f64]) {
        if selected(name) {
            self.find(name)
                .lines(values)
                .iter()
                .for_each(|line| println!("{line}"));
        }
    }

    fn find(&self, name: &str) -> &Row {
        let mut rows = self.scene.rows.iter();
        rows.find(|row| row.name == name)
            .expect("a row of the scene")
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

/// The variable that names rows, by commas.
pub const ROWS: &str = "ROWS";

fn rows_asked_for() -> Option<Vec<String>> {
    let rows = env::var(ROWS).ok().filter(|rows| !rows.is_empty())?;
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
