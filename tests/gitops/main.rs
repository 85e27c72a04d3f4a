//! What Argo CD, Flux and Helm are given: `gitops/`, held to what is promised of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../contract/argocd.rs"]
mod argocd;
mod examples;
#[path = "../contract/kstatus.rs"]
mod kstatus;
mod scripts;
