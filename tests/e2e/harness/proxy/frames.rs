//! The frames of a watch: one JSON document a line.

use std::collections::VecDeque;

use axum::body::Bytes;
use serde_json::{Value, json};

/// What happens to a frame that brings a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// It never comes.
    Drop,
    /// It comes twice.
    Duplicate,
    /// It comes after the next one of its watch, and not before there is one.
    Swap,
    /// It comes again after the next one of its watch.
    Replay,
}

/// Which frames a tampering is about.
#[derive(Clone, Debug)]
pub struct Frames {
    resource: String,
    name: Option<String>,
}

/// A frame, with its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As it came.
    pub bytes: Bytes,
    /// The object that it brings a change of; none in bookmarks and errors.
    pub object: Option<String>,
}

/// Cuts a stream of bytes into frames.
#[derive(Default)]
pub struct Splitter {
    rest: Vec<u8>,
}

/// The tamperings that are still to happen, oldest first.
#[derive(Default)]
pub struct Plan(VecDeque<Item>);

struct Item {
    frames: Frames,
    what: Tamper,
    left: usize,
}

/// One watch's frames on their way: what is kept back until the next one.
#[derive(Default)]
pub struct Lane {
    kept: Option<Frame>,
}

impl Frames {
    /// Those of every watch of a resource, by its plural.
    pub fn of(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            name: None,
        }
    }

    /// Of these, those about an object.
    pub fn about(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    fn cover(&self, resource: &str, object: &str) -> bool {
        self.resource == resource && self.name.as_deref().is_none_or(|name| name == object)
    }
}

impl Frame {
    /// Reads a line.
    fn new(bytes: Bytes) -> Self {
        let frame: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let changes = matches!(
            frame["type"].as_str(),
            Some("ADDED" | "MODIFIED" | "DELETED")
        );
        let object = frame["object"]["metadata"]["name"].as_str();
        let object = object.filter(|_| changes).map(str::to_owned);
        Self { bytes, object }
    }

    /// The frame with which the API server ends a watch whose version it does not keep any more.
    pub fn expired() -> Self {
        let error = json!({ "type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "Expired", "code": 410, "message": "too old resource version",
        }});
        Self {
            bytes: format!("{error}\n").into(),
            object: None,
        }
    }
}

impl Splitter {
    /// Takes bytes in, and gives the frames that are whole now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let rest = self.rest.split_off(end + 1);
            let line = std::mem::replace(&mut self.rest, rest);
            frames.push(Frame::new(line.into()));
        }
        frames
    }
}

impl Plan {
    /// The next so many of these frames are tampered with.
    pub fn add(&mut self, frames: Frames, what: Tamper, count: usize) {
        self.0.push_back(Item {
            frames,
            what,
            left: count,
        });
    }

    /// How many frames are still to be tampered with.
    pub fn left(&self) -> usize {
        self.0.iter().map(|item| item.left).sum()
    }

    fn take(&mut self, resource: &str, frame: &Frame) -> Option<Tamper> {
        let object = frame.object.as_deref()?;
        let covers = |item: &Item| item.frames.cover(resource, object);
        let index = self.0.iter().position(covers)?;
        let item = &mut self.0[index];
        item.left = item.left.saturating_sub(1);
        let (what, done) = (item.what, item.left == 0);
        if done {
            self.0.remove(index);
        }
        Some(what)
    }
}

impl Lane {
    /// What goes on to the caller for a frame that came.
    pub fn pass(&mut self, plan: &mut Plan, resource: &str, frame: Frame) -> Vec<Frame> {
        // The second of two that change places is not tampered with again.
        if let Some(kept) = self.kept.take_if(|_| frame.object.is_some()) {
            return vec![frame, kept];
        }
        match plan.take(resource, &frame) {
            None => vec![frame],
            Some(Tamper::Drop) => Vec::new(),
            Some(Tamper::Duplicate) => vec![frame.clone(), frame],
            Some(Tamper::Swap) => {
                self.kept = Some(frame);
                Vec::new()
            }
            Some(Tamper::Replay) => {
                self.kept = Some(frame.clone());
                vec![frame]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, name: &str) -> String {
        let object = json!({ "metadata": { "name": name } });
        format!("{}\n", json!({ "type": kind, "object": object }))
    }

    fn frames(lines: &[(&str, &str)]) -> Vec<Frame> {
        let text: String = lines.iter().map(|(kind, name)| line(kind, name)).collect();
        Splitter::default().push(text.as_bytes())
    }

    /// The objects of the frames that go on, `-` for those that bring no change.
    fn passed(plan: &mut Plan, lines: &[(&str, &str)]) -> Vec<String> {
        let mut lane = Lane::default();
        frames(lines)
            .into_iter()
            .flat_map(|frame| lane.pass(plan, "exportjobs", frame))
            .map(|frame| frame.object.unwrap_or_else(|| "-".into()))
            .collect()
    }

    fn plan(frames: Frames, what: Tamper, count: usize) -> Plan {
        let mut plan = Plan::default();
        plan.add(frames, what, count);
        plan
    }

    const CHANGES: [(&str, &str); 4] = [
        ("ADDED", "a"),
        ("MODIFIED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ];

    #[test]
    fn frames_are_whole_however_their_bytes_come() {
        let text = [line("ADDED", "ä"), line("BOOKMARK", ""), line("ERROR", "")].concat();
        for size in 1..text.len() {
            let mut splitter = Splitter::default();
            let frames: Vec<Frame> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| splitter.push(chunk))
                .collect();
            let objects: Vec<_> = frames.iter().map(|frame| frame.object.as_deref()).collect();
            assert_eq!(objects, [Some("ä"), None, None], "in pieces of {size}");
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|frame| frame.bytes.to_vec())
                .collect();
            assert_eq!(bytes, text.as_bytes());
        }
    }

    #[test]
    fn half_a_frame_waits_for_its_end() {
        let mut splitter = Splitter::default();
        assert!(splitter.push(b"{\"type\":").is_empty());
        assert_eq!(splitter.push(b"\"BOOKMARK\"}\n{").len(), 1);
    }

    #[test]
    fn frames_are_dropped_doubled_and_swapped_as_often_as_asked() {
        let all = || Frames::of("exportjobs");
        for (mut plan, expected) in [
            (Plan::default(), vec!["a", "b", "a", "b"]),
            (plan(all(), Tamper::Drop, 2), vec!["a", "b"]),
            (
                plan(all(), Tamper::Duplicate, 1),
                vec!["a", "a", "b", "a", "b"],
            ),
            (plan(all(), Tamper::Swap, 1), vec!["b", "a", "a", "b"]),
            (plan(all(), Tamper::Swap, 2), vec!["b", "a", "b", "a"]),
            (
                plan(all(), Tamper::Replay, 1),
                vec!["a", "b", "a", "a", "b"],
            ),
            (plan(all().about("b"), Tamper::Drop, 1), vec!["a", "a", "b"]),
            (
                plan(Frames::of("secrets"), Tamper::Drop, 1),
                vec!["a", "b", "a", "b"],
            ),
        ] {
            assert_eq!(passed(&mut plan, &CHANGES), expected);
        }
    }

    #[test]
    fn bookmarks_are_never_tampered_with() {
        let lines = [
            ("BOOKMARK", ""),
            ("ADDED", "a"),
            ("BOOKMARK", ""),
            ("ADDED", "b"),
        ];
        let mut swap = plan(Frames::of("exportjobs"), Tamper::Swap, 1);
        assert_eq!(passed(&mut swap, &lines), ["-", "-", "b", "a"]);
        assert_eq!(swap.left(), 0);
        let mut drop = plan(Frames::of("exportjobs"), Tamper::Drop, 3);
        assert_eq!(passed(&mut drop, &lines), ["-", "-"]);
        assert_eq!(drop.left(), 1);
    }
}
