//! What stands out in a picture of the cluster, and the next command to type.

use crate::cli::node::{phi_text, span};
use crate::cli::text::grouped;
use ring::MemberState;
use starling::wire::{MemberStatus, Status};

/// A line for each thing that stands out, and what to do about it.
pub(super) fn advice(status: &Status) -> Vec<String> {
    let members = &status.members;
    let asked = members.iter().find(|member| member.node == status.node);
    let asked = asked.map_or("the node that was asked", |member| member.name.as_str());
    let cut = of_cut(asked, members);
    let is_cut = cut.is_some();
    let mut advice: Vec<String> = cut.into_iter().collect();
    for member in members {
        if member.reachable || !is_cut {
            advice.extend(of_state(asked, member));
        }
        advice.extend(of_clock(member));
        advice.extend(of_shelves(&member.name, member.hints_damaged));
    }
    advice
}

/// Where half of the nodes and more are not reached, it is as likely that this side is cut off.
fn of_cut(asked: &str, members: &[MemberStatus]) -> Option<String> {
    let (here, away): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.reachable);
    if away.len() < 2 || away.len() < here.len() {
        return None;
    }
    let names = |side: &[&MemberStatus]| {
        let names = side.iter().map(|member| member.name.clone());
        listed(&names.collect::<Vec<_>>())
    };
    let address = away.first().map_or("", |member| member.address.as_str());
    Some(format!(
        "→ {asked} does not reach {}, and its side has no majority of the nodes: either they are \
         down, or {} cut off. A write that asks for fewer owners (-w 1) or for stand-ins \
         (--sloppy) is taken here, and all have it when they reach each other again.\n  Next: \
         the same from the other side: starling status --seed {address}",
        names(&away),
        match here.len() {
            1 => format!("{asked} is"),
            _ => format!("{} are", names(&here)),
        },
    ))
}

/// These, with commas and an "and".
fn listed(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// What is to be said of a member's state.
fn of_state(asked: &str, member: &MemberStatus) -> Option<String> {
    let MemberStatus {
        name,
        address,
        note,
        ..
    } = member;
    if member.view.state == MemberState::Down {
        Some(format!(
            "→ {name} is down for {}: {}. Others are asked in its place, and what is \
             written now, {name} pulls when it is back.\n  Next: start it if it has \
             ended, or starling node info {name}",
            span(member.view.for_ms),
            unheard(member)
        ))
    } else if !member.reachable {
        // The rest of an error is for whoever sent the request that met it.
        let why = note.split(';').next().filter(|why| !why.is_empty());
        let why = why.unwrap_or("no answer");
        Some(format!(
            "→ {name} is not reached from {asked}: {why}. What is written now, {name} \
             pulls when it is back.\n  Next: start it if it is down, or look at its log; \
             its address is {address}"
        ))
    } else if member.view.state == MemberState::Suspect {
        Some(format!(
            "→ {name} is suspect: {}. It is asked last until it speaks up or is found to \
             be down.\n  Next: starling node info {name}",
            unheard(member)
        ))
    } else if member.view.is_quarantined {
        Some(format!(
            "→ {name} has gone down several times within minutes; it is asked last until \
             it has stayed up for a while.\n  Next: its log, and the network to it"
        ))
    } else if member.vnodes_quarantined > 0 {
        Some(of_damage(member))
    } else if member.catching_up > 0 {
        Some(of_catching_up(member))
    } else if member.missing_there > 0 || member.missing_here > 0 {
        Some(format!(
            "→ {name} lacks {} of the dots that {asked} has, and has {} that {asked} lacks; they \
             pull them by themselves.\n  Next: starling status, in a second",
            grouped(member.missing_there),
            grouped(member.missing_here)
        ))
    } else {
        None
    }
}

/// A wall clock that is wrong.
fn of_clock(member: &MemberStatus) -> Option<String> {
    let (name, ahead) = (&member.name, member.clock_ahead_ms);
    let by = span(ahead.unsigned_abs());
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    (ahead != 0).then(|| {
        format!(
            "→ the clock of {name} is {by} {side} those of most nodes; it goes by theirs.\n  Next: \
             set it right on that machine (timedatectl, chronyc tracking)"
        )
    })
}

fn of_catching_up(member: &MemberStatus) -> String {
    let name = &member.name;
    format!(
        "→ {name} is catching up on {} of its vnodes; they take writes and do not count for \
         reads.\n  Next: starling status, in a few seconds",
        member.catching_up
    )
}

fn of_damage(member: &MemberStatus) -> String {
    let name = &member.name;
    format!(
        "→ {name} has {} damaged vnodes; they are in no use, and filled anew from the other owners \
         where those have all that they held.\n  Next: the log of {name} says what is damaged; \
         check its disk",
        member.vnodes_quarantined
    )
}

/// What a member keeps for others, and cannot hand over.
fn of_shelves(name: &str, damaged: u32) -> Option<String> {
    (damaged > 0).then(|| {
        format!(
            "→ what {name} keeps for the owners of {damaged} partitions is damaged or cannot be \
             read: it is not handed over, and its bytes stay. The owners have these writes from \
             each other, but for those that stand-ins alone acknowledged.\n  Next: the log of \
             {name} says which partitions; check its disk, and repeat what was written while no \
             owner of them was reached"
        )
    })
}

/// Who does not hear a member, and how suspicious that is.
fn unheard(member: &MemberStatus) -> String {
    let observers = member.view.suspected_by.iter().map(|observer| {
        let phi = phi_text(observer.phi_hundredths);
        format!("{} (phi {phi})", observer.name)
    });
    let observers: Vec<String> = observers.collect();
    match observers.len() {
        0 => "its observers do not hear it".to_owned(),
        1 => format!("{} does not hear it", listed(&observers)),
        _ => format!("{} do not hear it", listed(&observers)),
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberStatus, of_cut, of_shelves};
    use crate::cli::status::tests::member;

    #[test]
    fn what_is_kept_and_cannot_be_handed_over_is_shown_with_what_to_do() {
        assert_eq!(of_shelves("kv-2", 0), None);
        let shown = of_shelves("kv-2", 3).expect("some is damaged");
        for part in [
            "kv-2 keeps for the owners of 3 partitions is damaged",
            "not handed over",
            "but for those that stand-ins alone acknowledged",
            "Next: the log of kv-2",
            "check its disk",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown:?}");
        }
    }

    #[test]
    fn a_side_without_a_majority_is_told_that_it_may_be_the_one_that_is_cut_off() {
        let side = |here: &[u64]| -> Vec<MemberStatus> {
            let member = |node| member(node, here.contains(&node));
            (1..=5).map(member).collect()
        };
        assert_eq!(of_cut("n1", &side(&[1, 2, 3])), None);
        let shown = of_cut("n4", &side(&[4, 5])).expect("three are away");
        for part in [
            "n4 does not reach n1, n2 and n3",
            "or n4 and n5 are cut off",
            "--seed h1:7401",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown:?}");
        }
        let shown = of_cut("n5", &side(&[5])).expect("four are away");
        assert!(shown.contains("or n5 is cut off"), "{shown}");
    }
}
