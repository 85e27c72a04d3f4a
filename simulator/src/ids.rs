//! Identifiers in the shapes that the documents show.

use std::iter::repeat_with;

/// 32 alphanumerics: a request id as the gateway makes it.
pub(crate) fn request_id() -> String {
    repeat_with(fastrand::alphanumeric).take(32).collect()
}

/// 24 hexadecimal digits: a dataset or a view.
pub(crate) fn object_id() -> String {
    hexadecimal(24)
}

/// 32 hexadecimal digits: a batch.
pub(crate) fn batch_id() -> String {
    hexadecimal(32)
}

/// A UUID: a job of the compute gateway.
pub(crate) fn uuid() -> String {
    let digits = hexadecimal(32);
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

/// What an access token of this tenant begins with.
pub(crate) const TOKEN_PREFIX: &str = "simulated-token.";

/// An access token.
pub(crate) fn token() -> String {
    let random: String = repeat_with(fastrand::alphanumeric).take(48).collect();
    format!("{TOKEN_PREFIX}{random}")
}

fn hexadecimal(length: usize) -> String {
    repeat_with(|| fastrand::digit(16)).take(length).collect()
}
