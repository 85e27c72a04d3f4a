//! The settings in which the decision is tried.

use crate::{
    action::Lag,
    mutants::Mutant,
    names::Names,
    protocol::Protocol,
    trouble::{
        answers, beyond, beyond_no_ids, doubles, doubles_no_ids, edits, edits_no_ids,
        edits_two_leaders, guard, moved, parts, parts_no_ids, pauses, refusals, restored, retries,
        retries_no_ids, spec_unguarded, stripped,
    },
    world::{Belief, Faults},
};

pub const REPLY: &str = "a reply is recorded";
pub const BY_ID: &str = "a job is taken up by its request id";
pub const BY_TIME: &str = "a job is taken up by its time";
pub const NOT_TAKEN: &str = "a request counts as not taken";
pub const ASKED: &str = "a person is asked";
pub const WORD: &str = "a person's word is taken";
pub const HEALED: &str = "a double is cancelled";
pub const SECOND: &str = "a second attempt runs";
pub const WARNED: &str = "an object goes with a warning";
pub const STOPPED: &str = "a deleted object's job stops";
pub const REJECTED: &str = "a rejection ends";
pub const UNKNOWN: &str = "a job is made that nobody records";
pub const BOTH: &str = "two are in doubt at once";

/// Nothing goes wrong.
pub const NONE: Faults = Faults {
    crash: 0,
    pauses: 0,
    takeover: 0,
    lost: 0,
    refused: 0,
    doubled: 0,
    answer: 0,
    foreign: 0,
    failed: 0,
    succeeded: 0,
    purged: 0,
    flaps: 0,
    stuck: 0,
    scan: 0,
    edits: 0,
    orphaned: 0,
    abandoned: 0,
    terminated: 0,
    stripped: 0,
    restored: 0,
    moved: 0,
    answered: 0,
};

pub fn setting(name: &'static str, echoes: bool, belief: Belief) -> Protocol {
    Protocol {
        name,
        objects: 1,
        echoes,
        belief,
        learns: belief == Belief::Unknown,
        lag: Lag::Within,
        retries: 0,
        deadline: None,
        tells: false,
        guards_spec: true,
        split: false,
        slow_intent: false,
        slow_settle: false,
        faults: NONE,
        horizon: 7,
        sights: &[],
        names: Names::new(),
        mutant: None,
    }
}

/// Small enough for every run of the tests.
pub fn small() -> Vec<Protocol> {
    vec![
        ids(),
        no_ids_two_of_both(),
        not_known(),
        not_shown_edits(),
        doubles(),
        restored(),
    ]
}

/// All.
pub fn full() -> Vec<Protocol> {
    vec![
        ids(),
        ids_two_leaders(),
        ids_two_objects(),
        no_ids(),
        no_ids_two_leaders(),
        no_ids_two_objects(),
        no_ids_two_of_both(),
        no_ids_slow_verdict(),
        not_known(),
        not_known_two_objects(),
        not_known_not_shown(),
        not_shown_edits(),
        believed_and_not_shown(),
        edits(),
        edits_two_leaders(),
        edits_no_ids(),
        retries(),
        retries_no_ids(),
        doubles(),
        doubles_no_ids(),
        parts(),
        parts_no_ids(),
        refusals(),
        restored(),
        moved(),
        stripped(),
        answers(),
        guard(),
        spec_unguarded(),
        pauses(),
        beyond(),
        beyond_no_ids(),
    ]
}

/// The settings in which a mutant is caught.
pub fn against(mutant: Mutant) -> Vec<Protocol> {
    let setting = match mutant {
        Mutant::SendsAgainOnDoubt
        | Mutant::AnyProcessSends
        | Mutant::NoneTooEarly
        | Mutant::AnyRefusalProves => ids(),
        Mutant::SendsThoughStopped => spec_unguarded(),
        Mutant::NoneFromAPart => parts(),
        Mutant::UsesTodaysTarget => moved(),
        Mutant::LearnsFromReply => not_shown_edits(),
        Mutant::CandidatesIgnored => believed_and_not_shown(),
        Mutant::ClaimEndsAtDoubt | Mutant::NoClaims => no_ids_two_objects(),
        Mutant::NoFreshList => no_ids_two_of_both(),
        Mutant::CancelsWeakly => edits_no_ids(),
        Mutant::CancelsForEver | Mutant::SendsDeleted => edits(),
        Mutant::StrangersTakenUp => not_known(),
        Mutant::NoTimeToStop => stripped(),
        Mutant::NoFence => pauses(),
        Mutant::NoGuard => guard(),
        Mutant::NoLookFirst | Mutant::LooksAtAPart => restored(),
        Mutant::NoHealing => doubles(),
        Mutant::RetriesUnseen => retries(),
    };
    vec![setting]
}

fn ids() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            answer: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting("ids", true, Belief::Yes)
    }
}

fn ids_two_leaders() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            takeover: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting("ids, two leaders", true, Belief::Yes)
    }
}

fn ids_two_objects() -> Protocol {
    Protocol {
        objects: 2,
        horizon: 5,
        faults: Faults {
            lost: 1,
            foreign: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, ASKED, BOTH],
        ..setting("ids, two objects, a person's job", true, Belief::Yes)
    }
}

fn no_ids() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            foreign: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED],
        ..setting("no ids, a person's job", false, Belief::No)
    }
}

fn no_ids_two_leaders() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            takeover: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN],
        ..setting("no ids, two leaders", false, Belief::No)
    }
}

fn no_ids_two_objects() -> Protocol {
    Protocol {
        objects: 2,
        faults: Faults {
            crash: 1,
            lost: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN],
        ..setting("no ids, two objects", false, Belief::No)
    }
}

fn no_ids_two_of_both() -> Protocol {
    Protocol {
        objects: 2,
        split: true,
        horizon: 4,
        lag: Lag::None,
        faults: Faults { lost: 2, ..NONE },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED, BOTH],
        ..setting("no ids, two objects, two leaders", false, Belief::No)
    }
}

fn no_ids_slow_verdict() -> Protocol {
    Protocol {
        objects: 2,
        split: true,
        slow_settle: true,
        horizon: 4,
        lag: Lag::None,
        faults: Faults { lost: 1, ..NONE },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, BOTH],
        ..setting(
            "no ids, two objects, two leaders, slow verdicts",
            false,
            Belief::No,
        )
    }
}

fn not_shown_edits() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, STOPPED],
        ..setting(
            "ids not shown, which is not known, a deletion",
            false,
            Belief::Unknown,
        )
    }
}

fn not_known() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            foreign: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, ASKED],
        ..setting(
            "ids shown and not known to be, a person's job",
            true,
            Belief::Unknown,
        )
    }
}

fn not_known_two_objects() -> Protocol {
    Protocol {
        objects: 2,
        horizon: 5,
        faults: Faults { lost: 1, ..NONE },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting(
            "ids shown and not known to be, two objects",
            true,
            Belief::Unknown,
        )
    }
}

fn not_known_not_shown() -> Protocol {
    Protocol {
        objects: 2,
        faults: Faults { lost: 1, ..NONE },
        sights: &[REPLY, BY_TIME, NOT_TAKEN],
        ..setting(
            "ids not shown, which is not known, two objects",
            false,
            Belief::Unknown,
        )
    }
}

fn believed_and_not_shown() -> Protocol {
    Protocol {
        objects: 2,
        learns: false,
        horizon: 4,
        lag: Lag::None,
        faults: Faults { lost: 2, ..NONE },
        sights: &[REPLY, NOT_TAKEN, ASKED, BOTH],
        ..setting(
            "ids believed to be shown, which they are not",
            false,
            Belief::Yes,
        )
    }
}
