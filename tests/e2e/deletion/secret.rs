//! A Secret that is deleted before what was begun with it is finished.

use aep_export_operator::api::{ExportJob, PlatformConnection};
use k8s_openapi::api::core::v1::Secret;

use super::{cancels, end, running, states, until_waiting};
use crate::harness::{condition, reason};

#[tokio::test]
async fn an_export_whose_secret_went_first_is_cancelled_when_it_is_deleted() {
    let world = running(&["export"]).await;
    world.delete::<Secret>("aep-credentials").await;
    world
        .until("prod", "without its Secret", |c: &PlatformConnection| {
            reason(c, "Ready") == "SecretNotFound"
        })
        .await;
    world.delete::<ExportJob>("export").await;
    world.until_gone::<ExportJob>("export").await;
    assert_eq!(states(&world).await, ["CANCELLED"]);
    assert_eq!(cancels(&world).await, 1);
}

#[tokio::test]
async fn a_connection_whose_secret_went_first_says_so_while_it_waits() {
    let world = running(&["export"]).await;
    world.delete::<Secret>("aep-credentials").await;
    world.delete::<PlatformConnection>("prod").await;
    until_waiting(&world).await;
    let waiting = world
        .until("prod", "without its Secret", |c: &PlatformConnection| {
            condition(c, "InUse").is_some_and(|c| c.message.contains("Secret aep-credentials"))
        })
        .await;
    let said = condition(&waiting, "InUse").unwrap().message;
    assert!(said.contains("ExportJob export"), "{said}");
    end(&world, "export").await;
    world.until_phase("export", "Succeeded").await;
    world.until_gone::<PlatformConnection>("prod").await;
}
