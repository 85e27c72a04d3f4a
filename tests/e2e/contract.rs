//! What other tools make of an object, as the tests of the library and of `gitops/` have it.

#[path = "../contract/argocd.rs"]
pub mod argocd;
#[path = "../contract/kstatus.rs"]
pub mod kstatus;
