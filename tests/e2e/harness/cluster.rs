//! The API server, with the CRDs and roles of this project.

use std::{io::Write, path::Path, process::Stdio};

use aep_control_plane::shared;
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, RoleRef, Subject},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions, wait::await_condition},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

use aep_export_operator::api::{
    self, ClusterPlatformConnection, ExportJob, PlatformConnection, ProfileDataset,
};

/// The `ClusterRoles` of `deploy/rbac.yaml`.
const ROLE: &str = "aep-export-operator";
const IDENTITY_ROLE: &str = "aep-export-operator-cluster-identity";
const SHARED_ROLE: &str = "aep-export-operator-cluster-connections";
/// The `Role` there, for the operator's own namespace.
const LEADER_ROLE: &str = "aep-export-operator-leader-election";

/// A client of the API server as an administrator, with CRDs and roles installed.
pub async fn admin() -> Client {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = client().await;
    INSTALLED.get_or_init(|| install(client.clone())).await;
    client
}

async fn client() -> Client {
    let plane = shared().unwrap_or_else(|error| panic!("{error}"));
    client_of(plane.server()).await
}

/// A client, as an administrator, of an API server that has the keys of the shared one.
pub async fn client_of(server: &str) -> Client {
    let plane = shared().unwrap();
    let mut kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
    for named in &mut kubeconfig.clusters {
        let cluster = named.cluster.as_mut().unwrap();
        cluster.server = Some(server.to_owned());
    }
    let options = KubeConfigOptions::default();
    Client::try_from(
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap(),
    )
    .unwrap()
}

/// Installs the CRDs and roles.
pub async fn install(client: Client) {
    for (_, crd) in api::crds().unwrap() {
        install_crd(&client, &crd).await;
    }
    let params = PatchParams::apply("e2e").force();
    let roles: Api<ClusterRole> = Api::all(client);
    for document in documents(include_str!("../../../deploy/rbac.yaml")) {
        if document["kind"] == "ClusterRole" {
            let name = document["metadata"]["name"].as_str().unwrap();
            roles
                .patch(name, &params, &Patch::Apply(&document))
                .await
                .unwrap();
        }
    }
}

/// Installs a CRD, or another version of one, and waits until it is served.
pub async fn install_crd(client: &Client, crd: &CustomResourceDefinition) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("e2e").force();
    let name = crd.metadata.name.as_deref().unwrap();
    crds.patch(name, &params, &Patch::Apply(crd)).await.unwrap();
    await_condition(crds, name, conditions::is_crd_established())
        .await
        .unwrap();
}

/// The `Role` of `deploy/rbac.yaml`, for any namespace.
fn leader_role() -> Role {
    let mut roles = documents(include_str!("../../../deploy/rbac.yaml"))
        .into_iter()
        .filter(|document| document["kind"] == "Role");
    let mut role: Role = serde_json::from_value(roles.next().unwrap()).unwrap();
    assert_eq!(role.metadata.name.as_deref(), Some(LEADER_ROLE));
    role.metadata.namespace = None;
    role
}

/// A namespace with a ServiceAccount that has the operator's rights in all namespaces, and a
/// kubeconfig for it.
pub async fn home(client: &Client, server: &str, kubeconfig: &Path) -> String {
    let home = namespace(client, "operators").await;
    account(client, (server, &home), "operator", kubeconfig).await;
    for (name, role) in everywhere(&home) {
        let binding = ClusterRoleBinding {
            metadata: named(&name),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "ClusterRole".into(),
                name: role.into(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".into(),
                name: "operator".into(),
                namespace: Some(home.clone()),
                api_group: None,
            }]),
        };
        Api::<ClusterRoleBinding>::all(client.clone())
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }
    home
}

/// The bindings of an account of this namespace that has the rights in all namespaces, each with
/// its role.
fn everywhere(home: &str) -> [(String, &'static str); 2] {
    [
        (format!("{home}-everywhere"), ROLE),
        (format!("{home}-shared"), SHARED_ROLE),
    ]
}

/// The documents of a YAML text.
pub fn documents(yaml: &str) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

/// A new namespace, named for a test.
pub async fn namespace(client: &Client, name: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let created = namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    created.metadata.name.unwrap()
}

/// A ServiceAccount of this name with the operator's rights in this namespace, and a kubeconfig
/// for it.
pub async fn account(
    client: &Client,
    (server, namespace): (&str, &str),
    name: &str,
    kubeconfig: &Path,
) {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = ServiceAccount {
        metadata: named(name),
        ..ServiceAccount::default()
    };
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let subjects = Some(vec![Subject {
        kind: "ServiceAccount".into(),
        name: name.into(),
        namespace: Some(namespace.into()),
        api_group: None,
    }]);
    let role = |kind: &str, name: &str| RoleRef {
        api_group: "rbac.authorization.k8s.io".into(),
        kind: kind.into(),
        name: name.into(),
    };
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    let binding = RoleBinding {
        metadata: named(name),
        role_ref: role("ClusterRole", ROLE),
        subjects: subjects.clone(),
    };
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let binding = RoleBinding {
        metadata: named(LEADER_ROLE),
        role_ref: role("Role", LEADER_ROLE),
        subjects: subjects.clone(),
    };
    Api::<Role>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &leader_role())
        .await
        .unwrap();
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let binding = ClusterRoleBinding {
        metadata: named(namespace),
        role_ref: role("ClusterRole", IDENTITY_ROLE),
        subjects,
    };
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .unwrap()
        .status
        .unwrap()
        .token;
    write_kubeconfig(kubeconfig, server, namespace, &token);
}

/// A kubeconfig for the bearer of a token.
pub fn write_kubeconfig(path: &Path, server: &str, namespace: &str, token: &str) {
    let plane = shared().unwrap();
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "e2e",
            "cluster": {
                "server": server,
                "certificate-authority": plane.ca_certificate(),
            },
        }],
        "users": [{ "name": "operator", "user": { "token": token } }],
        "contexts": [{
            "name": "e2e",
            "context": { "cluster": "e2e", "user": "operator", "namespace": namespace },
        }],
        "current-context": "e2e",
    });
    std::fs::write(path, text.to_string()).unwrap();
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        ..ObjectMeta::default()
    }
}

/// Runs kubectl as an administrator; whether it succeeded, and what it printed on both channels.
pub fn kubectl(namespace: &str, args: &[&str], input: Option<&str>) -> (bool, String) {
    let mut command = shared().unwrap().kubectl();
    command.args(["--namespace", namespace]).args(args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(input.unwrap_or_default().as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Lets go of what a test left behind: its objects, which no operator holds any more, and its
/// namespace, which the control plane ends in its own time.
pub fn clean_up(namespace: &str) {
    let namespace = namespace.to_owned();
    let cleaner = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = client().await;
            release(Api::<ExportJob>::namespaced(client.clone(), &namespace)).await;
            release(Api::<ProfileDataset>::namespaced(
                client.clone(),
                &namespace,
            ))
            .await;
            release(Api::<PlatformConnection>::namespaced(
                client.clone(),
                &namespace,
            ))
            .await;
            let bindings = everywhere(&namespace).map(|(name, _)| name);
            for binding in bindings.into_iter().chain([namespace.clone()]) {
                delete(Api::<ClusterRoleBinding>::all(client.clone()), &binding).await;
            }
            delete(Api::<Namespace>::all(client.clone()), &namespace).await;
            let shared: Api<ClusterPlatformConnection> = Api::all(client);
            // A test names those of the cluster as it names its namespace.
            release_one(&shared, &namespace).await;
            delete(shared, &namespace).await;
        });
    });
    let _ = cleaner.join();
}

/// Takes the finalizers off all objects.
async fn release<K>(api: Api<K>)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let all = api.list_metadata(&ListParams::default()).await;
    for object in all.into_iter().flatten() {
        release_one(&api, &object.metadata.name.unwrap_or_default()).await;
    }
}

/// Takes the finalizers off one object.
async fn release_one<K>(api: &Api<K>, name: &str)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let none = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    let params = PatchParams::default();
    let _ = api.patch_metadata(name, &params, &none).await;
}

async fn delete<K>(api: Api<K>, name: &str)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let _ = api.delete(name, &DeleteParams::default()).await;
}
