//! The settings with more than lost replies: edits, failures, doubles, parts, restores, pauses.

use crate::{
    action::Lag,
    protocol::Protocol,
    settings::{
        ASKED, BY_ID, BY_TIME, HEALED, NONE, NOT_TAKEN, REJECTED, REPLY, SECOND, STOPPED, UNKNOWN,
        WARNED, WORD, setting,
    },
    world::{Belief, Faults},
};

pub fn edits() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            edits: 1,
            stuck: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, WARNED, STOPPED],
        ..setting(
            "ids, a deletion, cancellation or suspension",
            true,
            Belief::Yes,
        )
    }
}

pub fn edits_two_leaders() -> Protocol {
    Protocol {
        lag: Lag::None,
        horizon: 4,
        faults: Faults {
            lost: 1,
            edits: 1,
            takeover: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, STOPPED],
        ..setting("ids, an edit, two leaders", true, Belief::Yes)
    }
}

pub fn edits_no_ids() -> Protocol {
    Protocol {
        horizon: 5,
        faults: Faults {
            lost: 1,
            edits: 1,
            foreign: 1,
            stuck: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED, WARNED, STOPPED],
        ..setting("no ids, an edit, a person's job", false, Belief::No)
    }
}

pub fn retries() -> Protocol {
    Protocol {
        retries: 1,
        horizon: 8,
        lag: Lag::None,
        faults: Faults {
            crash: 1,
            lost: 1,
            failed: 1,
            flaps: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, SECOND],
        ..setting(
            "ids, a job fails and is followed by another",
            true,
            Belief::Yes,
        )
    }
}

pub fn retries_no_ids() -> Protocol {
    Protocol {
        retries: 1,
        horizon: 9,
        faults: Faults {
            lost: 2,
            failed: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, SECOND],
        ..setting(
            "no ids, a job fails and is followed by another",
            false,
            Belief::No,
        )
    }
}

pub fn doubles() -> Protocol {
    Protocol {
        retries: 1,
        horizon: 5,
        lag: Lag::None,
        faults: Faults {
            lost: 1,
            doubled: 1,
            failed: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, HEALED],
        ..setting("ids, a request doubled by the gateway", true, Belief::Yes)
    }
}

pub fn doubles_no_ids() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            doubled: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED],
        ..setting(
            "no ids, a request doubled by the gateway",
            false,
            Belief::No,
        )
    }
}

pub fn parts() -> Protocol {
    Protocol {
        faults: Faults {
            crash: 1,
            lost: 1,
            scan: 2,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting("ids, a list that is not read whole", true, Belief::Yes)
    }
}

pub fn parts_no_ids() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            scan: 2,
            foreign: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED],
        ..setting("no ids, a list that is not read whole", false, Belief::No)
    }
}

pub fn refusals() -> Protocol {
    Protocol {
        horizon: 5,
        faults: Faults {
            lost: 1,
            refused: 2,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, REJECTED],
        ..setting("ids, refusals and rejections", true, Belief::Yes)
    }
}

pub fn restored() -> Protocol {
    Protocol {
        horizon: 9,
        faults: Faults {
            restored: 1,
            lost: 1,
            scan: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting(
            "ids, etcd restored from before the intent",
            true,
            Belief::Yes,
        )
    }
}

pub fn moved() -> Protocol {
    Protocol {
        horizon: 6,
        faults: Faults {
            lost: 1,
            crash: 1,
            moved: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting("ids, a connection that goes elsewhere", true, Belief::Yes)
    }
}

pub fn stripped() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            stripped: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, STOPPED],
        ..setting("ids, a finalizer stripped by hand", true, Belief::Yes)
    }
}

pub fn answers() -> Protocol {
    Protocol {
        faults: Faults {
            lost: 1,
            foreign: 1,
            answered: 1,
            edits: 1,
            ..NONE
        },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, ASKED, WORD],
        ..setting("no ids, a person's word", false, Belief::No)
    }
}

pub fn guard() -> Protocol {
    Protocol {
        slow_intent: true,
        horizon: 5,
        lag: Lag::None,
        faults: Faults {
            takeover: 1,
            pauses: 1,
            answer: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting("ids, two leaders, stale copies", true, Belief::Yes)
    }
}

pub fn spec_unguarded() -> Protocol {
    Protocol {
        slow_intent: true,
        guards_spec: false,
        faults: Faults {
            edits: 1,
            stripped: 1,
            lost: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN],
        ..setting(
            "ids, an API server that holds back no write for an edit",
            true,
            Belief::Yes,
        )
    }
}

pub fn pauses() -> Protocol {
    Protocol {
        horizon: 5,
        faults: Faults {
            takeover: 1,
            pauses: 5,
            ..NONE
        },
        sights: &[REPLY, NOT_TAKEN],
        ..setting("ids, two leaders, long pauses", true, Belief::Yes)
    }
}

pub fn beyond() -> Protocol {
    Protocol {
        lag: Lag::Beyond,
        faults: Faults {
            crash: 1,
            lost: 1,
            foreign: 1,
            ..NONE
        },
        sights: &[REPLY, BY_ID, NOT_TAKEN, UNKNOWN],
        ..setting(
            "ids, jobs hidden for longer than promised",
            true,
            Belief::Yes,
        )
    }
}

pub fn beyond_no_ids() -> Protocol {
    Protocol {
        lag: Lag::Beyond,
        objects: 2,
        horizon: 5,
        faults: Faults { lost: 1, ..NONE },
        sights: &[REPLY, BY_TIME, NOT_TAKEN, UNKNOWN],
        ..setting(
            "no ids, jobs hidden for longer than promised",
            false,
            Belief::No,
        )
    }
}
