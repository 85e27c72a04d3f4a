//! An AEP tenant.
fn main() {}
