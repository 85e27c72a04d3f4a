//! The rights that roles grant, each with whether it was used.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::audit::Request;

/// Why roles cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No YAML, or a role that is not one.
    #[error(transparent)]
    Yaml(#[from] serde_saphyr::Error),
    /// A rule that cannot be compared with single requests.
    #[error("a rule for {0:?} grants more than can be named")]
    Wildcard(Vec<String>),
}

/// What one rule grants for one resource and verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    group: String,
    resource: String,
    verb: String,
    /// The only objects that it is for; empty: all.
    names: Vec<String>,
}

/// What became of a right.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Unused,
    Used,
    /// Not used, for this reason.
    Excused(String),
}

/// Whether a role grants what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A role does.
    Granted,
    /// None does.
    NotGranted,
}

/// All rights of an account.
#[derive(Debug, Default)]
pub struct Rights(BTreeMap<Right, State>);

#[derive(Debug, Deserialize)]
struct Document {
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

impl Rights {
    /// The rights that the Roles and `ClusterRoles` of some manifests grant.
    ///
    /// # Errors
    ///
    /// If they are no YAML, or a rule has a wildcard.
    pub fn parse(manifests: &str) -> Result<Self, Unreadable> {
        let documents: Vec<Document> = serde_saphyr::from_multiple(manifests)?;
        let roles = documents
            .into_iter()
            .filter(|document| matches!(document.kind.as_str(), "Role" | "ClusterRole"));
        let mut rights = BTreeMap::new();
        for rule in roles.flat_map(|role| role.rules) {
            let all = [&rule.api_groups, &rule.resources, &rule.verbs];
            if all.into_iter().flatten().any(|word| word == "*") {
                return Err(Unreadable::Wildcard(rule.resources));
            }
            for group in &rule.api_groups {
                for resource in &rule.resources {
                    for verb in &rule.verbs {
                        let right = Right {
                            group: group.clone(),
                            resource: resource.clone(),
                            verb: verb.clone(),
                            names: rule.resource_names.clone(),
                        };
                        rights.insert(right, State::Unused);
                    }
                }
            }
        }
        Ok(Self(rights))
    }

    /// Takes in a request. Of several rights that grant it the one for this very object counts as
    /// used.
    pub fn take(&mut self, request: &Request) -> Use {
        let mut granting: Vec<_> = self
            .0
            .iter_mut()
            .filter(|(right, _)| right.grants(request))
            .collect();
        granting.sort_by_key(|(right, _)| right.names.is_empty());
        match granting.into_iter().next() {
            Some((_, state)) => {
                *state = State::Used;
                Use::Granted
            }
            None => Use::NotGranted,
        }
    }

    /// Takes note that a right need not be used. Whether there is one.
    pub fn excuse(&mut self, resource: &str, verb: &str, reason: &str) -> bool {
        let mut found = false;
        for (right, state) in &mut self.0 {
            if right.resource == resource && right.verb == verb {
                *state = State::Excused(reason.to_owned());
                found = true;
            }
        }
        found
    }

    /// How many rights there are.
    pub fn granted(&self) -> usize {
        self.0.len()
    }

    /// How many of them were used.
    pub fn used(&self) -> usize {
        self.0
            .values()
            .filter(|state| **state == State::Used)
            .count()
    }

    /// Those that were not used, and for no reason that is known.
    pub fn unused(&self) -> impl Iterator<Item = &Right> {
        let unused = self.0.iter().filter(|(_, state)| **state == State::Unused);
        unused.map(|(right, _)| right)
    }

    /// Those that need not be used, with the reason.
    pub fn excused(&self) -> impl Iterator<Item = (&Right, &str)> {
        self.0.iter().filter_map(|(right, state)| match state {
            State::Excused(reason) => Some((right, reason.as_str())),
            State::Used | State::Unused => None,
        })
    }
}

impl Right {
    /// Each shard and class has a lease of its own, whose name begins with that of the others: the
    /// role of its operator has it.
    fn is_for(&self, name: &str, asked: &str) -> bool {
        let rest = asked.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.is_empty() || (self.resource == "leases" && rest.starts_with(['-', '.']))
        })
    }

    fn grants(&self, request: &Request) -> bool {
        self.group == request.group
            && self.resource == request.resource
            && self.verb == request.verb
            && (self.names.is_empty()
                || self
                    .names
                    .iter()
                    .any(|name| self.is_for(name, &request.name)))
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            resource,
            verb,
            names,
        } = self;
        let request = Request {
            group: group.clone(),
            resource: resource.clone(),
            verb: verb.clone(),
            name: names.join(","),
        };
        request.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: &str = "
kind: ServiceAccount
metadata: {name: operator}
---
kind: ClusterRole
rules:
  - {apiGroups: [''], resources: [namespaces], verbs: [get]}
  - {apiGroups: [''], resources: [namespaces], verbs: [get], resourceNames: [kube-system]}
---
kind: Role
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, update]}
";

    fn request(group: &str, resource: &str, verb: &str, name: &str) -> Request {
        Request {
            group: group.into(),
            resource: resource.into(),
            verb: verb.into(),
            name: name.into(),
        }
    }

    #[test]
    fn what_is_granted_and_never_asked_for_is_unused() {
        let mut rights = Rights::parse(ROLES).unwrap();
        assert_eq!(rights.granted(), 4);
        let asked = request("coordination.k8s.io", "leases", "create", "");
        assert_eq!(rights.take(&asked), Use::Granted);
        let unused: Vec<_> = rights.unused().map(ToString::to_string).collect();
        let expected = [
            "get namespaces",
            "get namespaces kube-system",
            "update leases.coordination.k8s.io",
        ];
        assert_eq!(unused, expected);
    }

    #[test]
    fn a_right_for_one_object_counts_before_the_one_for_all() {
        let mut rights = Rights::parse(ROLES).unwrap();
        rights.take(&request("", "namespaces", "get", "kube-system"));
        assert!(
            rights
                .unused()
                .any(|right| right.to_string() == "get namespaces")
        );
        rights.take(&request("", "namespaces", "get", "shop"));
        assert_eq!(rights.used(), 2);
    }

    #[test]
    fn the_lease_of_a_shard_stands_for_the_lease() {
        let roles = "kind: Role\nrules: [{apiGroups: [c], resources: [leases], verbs: [get], \
                     resourceNames: [a]}]";
        let mut rights = Rights::parse(roles).unwrap();
        let mut took = |name| rights.take(&request("c", "leases", "get", name));
        assert_eq!(took("ab"), Use::NotGranted);
        assert_eq!(took("a-0123"), Use::Granted);
    }

    #[test]
    fn what_no_role_grants_is_told() {
        let mut rights = Rights::parse(ROLES).unwrap();
        let asked = request("", "namespaces", "list", "");
        assert_eq!(rights.take(&asked), Use::NotGranted);
    }

    #[test]
    fn a_reason_needs_a_right() {
        let mut rights = Rights::parse(ROLES).unwrap();
        assert!(rights.excuse("leases", "update", "only with replicas"));
        assert!(!rights.excuse("leases", "patch", "of another time"));
        assert_eq!(rights.excused().count(), 1);
    }

    #[test]
    fn a_wildcard_cannot_be_checked() {
        let roles = "kind: Role\nrules: [{apiGroups: [''], resources: ['*'], verbs: [get]}]";
        let refused = Rights::parse(roles).unwrap_err().to_string();
        assert!(refused.contains('*'), "{refused}");
    }
}
