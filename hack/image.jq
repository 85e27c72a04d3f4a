# The bill of materials of an image, in CycloneDX 1.6: from `cargo metadata`, all crates that the
# binary is linked from (not those that only its tests or its build need), with their checksums from
# Cargo.lock; and the packages of the machine that the rest of the image is from.

def license: {expression: (. // "NOASSERTION" | gsub(" */ *"; " OR "))};

. as $metadata
| ($metadata.packages | INDEX(.id)) as $packages
| ($metadata.resolve.nodes | INDEX(.id)) as $nodes
| ($metadata.packages[] | select(.name == $name and .source == null)) as $self
| def next: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg]
    | map(select(any($packages[.].targets[].kind[]; . == "proc-macro") | not));
  def reach($seen; $todo):
    if $todo == [] then $seen
    else ($seen + $todo) as $now
      | reach($now; ([$todo[] | $nodes[.] | next[]] | unique) - $now)
    end;
  reach([]; [$self.id]) as $reached
| def reference: $packages[.] | "pkg:cargo/\(.name)@\(.version)";
  # Cargo.lock has an entry of lines for each crate.
  ($lock | split("[[package]]") | map(
    [capture("name = \"(?<name>[^\"]+)\"").name, capture("\nversion = \"(?<version>[^\"]+)\"").version,
     (capture("checksum = \"(?<checksum>[^\"]+)\"").checksum)] | select(length == 3)
    | {key: "\(.[0])@\(.[1])", value: .[2]}) | from_entries) as $checksums
| def hashes: $checksums["\(.name)@\(.version)"] | if . then {hashes: [{alg: "SHA-256", content: .}]} else {} end;
  ($system[0] | map({
    type: "library",
    "bom-ref": "pkg:deb/debian/\(.name)@\(.version | @uri)?arch=\(.architecture)",
    purl: "pkg:deb/debian/\(.name)@\(.version | @uri)?arch=\(.architecture)",
    name, version
  })) as $debian
| {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: $time,
      component: {
        type: "container",
        "bom-ref": "image",
        name: $name,
        version: $self.version,
        description: $self.description,
        licenses: [$self.license | license],
        hashes: [{alg: "SHA-256", content: ($digest | ltrimstr("sha256:"))}]
      }
    },
    components: ([
      {type: "application", "bom-ref": ($self.id | reference), name: $name, version: $self.version,
       licenses: [$self.license | license], hashes: [{alg: "SHA-256", content: $binary}]}
    ] + $debian + ($reached - [$self.id] | map($packages[.] | {
      type: "library",
      "bom-ref": (.id | reference),
      purl: (.id | reference),
      name, version,
      licenses: [.license | license]
    } + hashes) | sort_by(.purl))),
    dependencies: ([
      {ref: "image", dependsOn: ([$self.id | reference] + [$debian[].purl] | unique)}
    ] + ($reached | map({ref: reference, dependsOn: ($nodes[.] | next | map(reference) | unique)}) | sort_by(.ref)))
  }
