//! The image's bill of materials.

use std::collections::BTreeSet;
use std::{env, fs};

use serde_json::Value;

use crate::tools::text;

/// Holds the bill to what the image is: of this digest, linked from these crates and libraries, and
/// whole in itself.
pub fn check() -> Result<((), String), String> {
    let folder = env::var("AEP_E2E_IMAGES").map_err(|error| error.to_string())?;
    let read = |end: &str| {
        let mut found = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let path = found.find_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            (name.starts_with("aep-export-operator-") && name.ends_with(end)).then(|| path.clone())
        });
        let path = path.ok_or_else(|| format!("there is no …{end} in {folder}"))?;
        fs::read_to_string(path).map_err(|error| error.to_string())
    };
    let bill: Value =
        serde_json::from_str(&read(".cdx.json")?).map_err(|error| error.to_string())?;
    let digest = read(".digest")?;

    let image = &bill["metadata"]["component"];
    let hash = format!("sha256:{}", text(image, "/hashes/0/content"));
    if hash != digest.trim() {
        return Err(format!("it is of {hash}, and the image is {digest}"));
    }
    let components = bill["components"].as_array().ok_or("no components")?;
    let names: BTreeSet<&str> = components.iter().map(|it| text(it, "/name")).collect();
    for linked in ["aep-export-operator", "kube", "rustls", "aws-lc-sys"] {
        if !names.contains(linked) {
            return Err(format!("{linked} is linked in, and not in it"));
        }
    }
    // Of tests, and of the build.
    for absent in ["stateright", "tempfile", "cc", "syn"] {
        if names.contains(absent) {
            return Err(format!("{absent} is in it, and in no image"));
        }
    }
    let crates = components
        .iter()
        .filter(|it| text(it, "/purl").starts_with("pkg:cargo/"));
    if let Some(bare) = crates
        .clone()
        .find(|it| text(it, "/hashes/0/content").is_empty())
    {
        return Err(format!("no checksum: {bare}"));
    }
    let references = components
        .iter()
        .chain([image])
        .map(|it| text(it, "/bom-ref"));
    let references: BTreeSet<&str> = references.collect();
    let dependencies = bill["dependencies"].as_array().ok_or("no dependencies")?;
    for dependency in dependencies {
        let on = dependency["dependsOn"].as_array();
        let on = on.into_iter().flatten().filter_map(Value::as_str);
        for reference in on.chain([text(dependency, "/ref")]) {
            if !references.contains(reference) {
                return Err(format!("{reference} is named and nowhere"));
            }
        }
    }
    let others: Vec<&str> = components
        .iter()
        .filter(|it| text(it, "/purl").starts_with("pkg:deb/"))
        .map(|it| text(it, "/name"))
        .collect();
    Ok((
        (),
        format!("{} crates, and {}", crates.count(), others.join(", ")),
    ))
}
