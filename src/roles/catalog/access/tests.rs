use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::roles::catalog::index::{MediaState, Place};

fn row(tenant: &str) -> Row {
    Row {
        tenant: tenant.to_owned(),
        media_id: "m".to_owned(),
        state: MediaState::Normalized,
        revision: 1,
        outcome_at: Timestamp::UNIX_EPOCH,
        sent_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        kind: Some("audio".to_owned()),
        channel: None,
        direction: None,
        profile: None,
        code: None,
        file_name: None,
        caption: None,
        transcript: None,
        certificate: None,
        tags: vec!["vip".to_owned()],
        contacts: vec!["c0ffee".to_owned()],
        data: Value::Null,
        place: Place { sent_at: 0, id: 1 },
    }
}

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn grant(tenants: &[&str], kinds: &[&str], tags: &[&str], assets: &[&str], actions: &[&str]) -> config::Access {
    config::Access {
        tenants: list(tenants),
        kinds: list(kinds),
        tags: list(tags),
        assets: list(assets),
        actions: list(actions),
    }
}

fn access() -> BTreeMap<String, config::Access> {
    let table = [
        ("agent", grant(&["acme"], &[], &[], &["playback", "thumbnail"], &["view"])),
        ("lead", grant(&["acme"], &[], &[], &[], &["view", "original"])),
        ("video", grant(&["acme"], &["video"], &[], &[], &["view"])),
        ("sales", grant(&["acme"], &[], &["sale"], &[], &["view"])),
        ("privacy", grant(&["acme"], &[], &[], &[], &["export", "erase", "hold", "audit"])),
        ("root", grant(&["*"], &[], &[], &[], &["view", "original", "export", "erase", "hold", "audit", "revoke"])),
    ];
    table.into_iter().map(|(name, access)| (name.to_owned(), access)).collect()
}

const ACTIONS: [Action; 7] =
    [Action::View, Action::Original, Action::Export, Action::Erase, Action::Hold, Action::Audit, Action::Revoke];

/// Every role with every action at its own tenant and at another one.
#[test]
fn the_table_of_roles_actions_and_tenants_holds() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("agent", &["view"][..]),
        ("lead", &["view", "original"]),
        ("video", &[]),
        ("sales", &[]),
        ("privacy", &["export", "erase", "hold", "audit"]),
        ("root", &["view", "original", "export", "erase", "hold", "audit", "revoke"]),
        ("nobody", &[]),
    ]);
    for (role, allowed) in &allowed {
        for action in ACTIONS {
            for tenant in ["acme", "globex", ""] {
                for tenants in [None, Some(list(&["acme"])), Some(list(&["globex"])), Some(Vec::new())] {
                    let caller = Caller::with_roles("x".to_owned(), [*role], tenants.clone(), None, &access());
                    let in_token = tenants.as_ref().is_none_or(|tenants| tenants.iter().any(|known| known == tenant));
                    let has_tenant = *role != "nobody" && in_token && (*role == "root" || tenant == "acme");
                    let expected = match (has_tenant, allowed.contains(&action.as_str())) {
                        (false, _) => Decision::NotTheirs,
                        (true, true) => Decision::Yes,
                        (true, false) => Decision::Forbidden,
                    };
                    let said = caller.may_with(action, &row(tenant), None);
                    assert_eq!(said, expected, "{role} {} {tenant:?} {tenants:?}", action.as_str());
                }
            }
        }
    }
}

#[test]
fn files_of_a_media_are_for_those_whose_role_names_them() {
    let may = |role: &str, asset| {
        let caller = Caller::with_roles("x".to_owned(), [role], None, None, &access());
        caller.may_with(Action::View, &row("acme"), Some(asset))
    };
    assert_eq!(may("agent", Role::Playback), Decision::Yes);
    assert_eq!(may("agent", Role::Original), Decision::Forbidden);
    assert_eq!(may("lead", Role::Original), Decision::Yes);
    assert_eq!(may("privacy", Role::Playback), Decision::Forbidden);
}

#[test]
fn a_token_for_one_contact_sees_no_other() {
    let caller =
        |contact: &str| Caller::with_roles("x".to_owned(), ["root"], None, Some(contact.to_owned()), &access());
    assert_eq!(caller("c0ffee").may_with(Action::View, &row("acme"), None), Decision::Yes);
    assert_eq!(caller("beef").may_with(Action::View, &row("acme"), None), Decision::NotTheirs);
}

#[test]
fn a_capability_opens_its_subject_and_nothing_else() {
    let capability = Capability { id: "1".to_owned(), destination: "crm".to_owned(), expires: None };
    let media = |media_id| Caller::with_link(&capability, &Subject::Media { tenant: "acme", media_id });
    assert_eq!(media("m").may_with(Action::View, &row("acme"), Some(Role::Original)), Decision::Yes);
    assert_eq!(media("n").may_with(Action::View, &row("acme"), None), Decision::NotTheirs);
    assert_eq!(media("m").may_with(Action::View, &row("globex"), None), Decision::NotTheirs);
    assert_eq!(media("m").may(Action::View, "acme"), Decision::NotTheirs);
    let contact = |contact| Caller::with_link(&capability, &Subject::Contact { tenant: "acme", contact });
    assert_eq!(contact("c0ffee").may_with(Action::View, &row("acme"), None), Decision::Yes);
    assert_eq!(contact("beef").may_with(Action::View, &row("acme"), None), Decision::NotTheirs);
    assert_eq!(contact("c0ffee").may_with(Action::View, &row("globex"), None), Decision::NotTheirs);
    for action in [Action::Export, Action::Erase, Action::Hold, Action::Audit, Action::Revoke] {
        assert_eq!(media("m").may_with(action, &row("acme"), None), Decision::Forbidden);
    }
}

#[test]
fn a_search_is_confined_as_far_as_all_grants_are() {
    let confines = |roles: &[&str]| {
        Caller::with_roles("x".to_owned(), roles.iter().copied(), None, None, &access()).confines("acme")
    };
    assert_eq!(confines(&["agent"]), (vec![], vec![]));
    assert_eq!(confines(&["video"]), (list(&["video"]), vec![]));
    assert_eq!(confines(&["video", "agent"]), (vec![], vec![]));
    assert_eq!(confines(&["video", "sales"]), (vec![], vec![]));
    assert_eq!(confines(&["sales"]), (vec![], list(&["sale"])));
}
