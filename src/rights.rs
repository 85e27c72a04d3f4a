//! What is said of a right that is missing. The API server names the verb and the resource; here is
//! named which value of the chart grants it.

use std::fmt;

/// The value for Secrets.
pub const SECRETS: &str = "secretAccess";

/// An error of the Kubernetes API, and where to get the right if it is for want of one (403).
#[derive(Debug)]
pub struct Advised<'a>(pub &'a kube::Error);

impl fmt::Display for Advised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(f, "{error}")?;
        match error {
            kube::Error::Api(status) if status.is_forbidden() => f.write_str(
                "; the roles of the chart's value rbac.create grant this, in the namespaces of \
                 watch.namespaces if it has some",
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn only_a_right_that_is_missing_is_told_with_the_value_that_grants_it() {
        let said = |code, reason: &str| {
            let status = Status {
                code,
                ..Status::failure("no", reason)
            };
            Advised(&kube::Error::Api(status.boxed())).to_string()
        };
        let (forbidden, conflict) = (said(403, "Forbidden"), said(409, "Conflict"));
        assert!(forbidden.contains("rbac.create"), "{forbidden}");
        assert!(!conflict.contains("rbac.create"), "{conflict}");
    }
}
