//! Numbers about numbers.

/// The value that so much of all values do not exceed: 0.99 for the 99th percentile.
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (part * values.len() as f64).ceil();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is a small count"
    )]
    let rank = (rank as usize).clamp(1, values.len());
    values[rank - 1]
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has it all.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

/// The most of these times, in seconds, that are in a window of this length.
pub fn busiest_window(times: &[f64], length: f64) -> usize {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let mut first = 0;
    let mut most = 0;
    for (index, time) in times.iter().enumerate() {
        while time - times[first] >= length {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

/// Least, median and most, and all values.
pub fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    let median = percentile(&mut sorted, 0.5);
    let all: Vec<String> = values.iter().copied().map(number).collect();
    format!(
        "{} runs, least {}, median {}, most {} ({})",
        values.len(),
        number(sorted[0]),
        number(median),
        number(sorted[sorted.len() - 1]),
        all.join(" "),
    )
}

/// Three digits are more than any of these numbers is worth; a whole number is one.
pub fn number(value: f64) -> String {
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
