//! Steps, each with what it saw.

use std::fmt;
use std::time::Instant;

/// What the steps came to.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
}

/// A step failed, and has been reported; what follows would only fail because of it.
#[derive(Debug)]
pub struct Failed;

impl Report {
    /// Takes a step, and prints what it saw, or why it failed.
    pub fn step<T>(
        &mut self,
        what: &str,
        act: impl FnOnce() -> Result<(T, String), String>,
    ) -> Result<T, Failed> {
        let began = Instant::now();
        let result = act();
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok((value, saw)) => {
                self.passed += 1;
                println!("e2e: ok     {seconds:5.1} s  {what}: {saw}");
                Ok(value)
            }
            Err(why) => {
                self.failed += 1;
                println!("e2e: FAILED {seconds:5.1} s  {what}: {why}");
                Err(Failed)
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e2e: passed={} failed={}", self.passed, self.failed)
    }
}
