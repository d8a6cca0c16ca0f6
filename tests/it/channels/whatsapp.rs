//! Every kind of message of the Cloud API.

use mediamill::channels::{Account, Ignored, Outgoing, Provider, Request, Update, outgoing};
use mediamill::events::{EDITED_TYPE, Kind, RECEIVED_TYPE, REJECTED_TYPE, REVOKED_TYPE};
use serde_json::{Value, json};

use super::samples::{AUDIO, meta, meta_field};
use super::{account, at, channel, parsed, post};

fn whatsapp() -> Account {
    account(Provider::WhatsappCloud, "sesame")
}

#[track_caller]
fn only(account: &Account, body: &str) -> Update {
    let mut updates = parsed(account, body);
    assert_eq!(updates.len(), 1, "{updates:?}");
    updates.remove(0)
}

fn one(message: &str) -> Update {
    only(&whatsapp(), &meta(message))
}

/// The event of an update: routing key, type, data.
fn event(update: Update) -> (String, String, Value) {
    let event = outgoing(&whatsapp(), update, at(1_790_000_500)).expect("an event");
    (event.routing_key.clone(), event.event.kind.clone(), data(&event))
}

fn data(outgoing: &Outgoing) -> Value {
    serde_json::to_value(&outgoing.event.data).expect("JSON")
}

#[test]
fn a_voice_note_is_an_event_with_its_id_and_no_url() {
    let update = one(AUDIO);
    let sent = outgoing(&whatsapp(), update.clone(), at(1_790_000_500)).expect("an event");
    assert_eq!(sent.routing_key, "media.received.audio");
    let after = |seconds: i64| outgoing(&whatsapp(), update.clone(), at(1_790_000_000 + seconds)).expect("an event");
    assert_eq!(after(5 * 24 * 3600).routing_key, "media.received.audio");
    let late = after(6 * 24 * 3600);
    assert_eq!(late.routing_key, "media.received.urgent", "Meta forgets it tomorrow");
    assert_eq!(late.event, sent.event, "only the way differs");
    assert_eq!(sent.event.kind, RECEIVED_TYPE);
    assert_eq!(sent.event.time.as_deref(), Some("2026-09-21T14:13:20Z"));
    let id = data(&sent)["media_id"].as_str().expect("an id").to_owned();
    assert_eq!(
        data(&sent),
        json!({
            "tenant": "acme", "media_id": id, "origin": { "kind": "channel", "account": "support", "media": "700000000000001" },
            "declared": {
                "mime_type": "audio/ogg; codecs=opus", "sha256": "szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+w=",
            },
            "message": {
                "channel": "whatsapp", "direction": "inbound", "message_id": "wamid.HBgAUDIO1", "voice": true,
                "sent_at": "2026-09-21T14:13:20Z", "phone": "+5511999990000", "user_id": "BR.1000000000000000001",
                "contact_name": "Ana",
            },
        })
    );
    assert!(id.starts_with("whatsapp-cloud-") && id.len() == "whatsapp-cloud-".len() + 32, "{id}");
    // At another time, at another gateway: the same event word by word.
    let again = outgoing(&whatsapp(), update, at(1_790_009_999)).expect("an event");
    assert_eq!(again, sent);
}

#[test]
fn pictures_films_documents_and_stickers() {
    let read = |message: &str| match one(message) {
        Update::Media(media) => media,
        other => panic!("{other:?}"),
    };
    let image = read(
        r#"{"type":"image","id":"wamid.I","from":"5511999990000","image":{"id":"7002","mime_type":"image/jpeg","caption":"the roof"}}"#,
    );
    assert_eq!((image.kind, image.carrier.message.caption.as_deref()), (Some(Kind::Image), Some("the roof")));
    let video = read(r#"{"type":"video","id":"wamid.V","video":{"id":"7003","mime_type":"video/mp4"}}"#);
    assert_eq!((video.kind, video.carrier.message.caption), (Some(Kind::Video), None));
    let document = read(
        r#"{"type":"document","id":"wamid.D","document":{"id":"7004","mime_type":"application/pdf","filename":"Offer Zürich.pdf","caption":"see p. 2"}}"#,
    );
    assert_eq!(
        (document.kind, document.declared.file_name.as_deref()),
        (Some(Kind::Document), Some("Offer Zürich.pdf"))
    );
    let sticker =
        read(r#"{"type":"sticker","id":"wamid.S","sticker":{"id":7005,"mime_type":"image/webp","animated":true}}"#);
    assert_eq!((sticker.kind, sticker.reference.as_str()), (Some(Kind::Image), "7005"));
    let voice = read(
        r#"{"type":"voice","id":"wamid.O","voice":{"id":"7006","file":"x","sha256":"b335eeeca8e6eca3149bf7c780b7974af438864df56084c6778781b27af0b7ec"}}"#,
    );
    assert_eq!((voice.kind, voice.carrier.message.voice), (Some(Kind::Audio), Some(true)));
    // A type that is not known yet, with what every file has; and a call's recording, whose id is no wamid.
    let new = read(r#"{"type":"hologram","id":"wamid.N","hologram":{"id":"7007","mime_type":"video/x-new"}}"#);
    assert_eq!((new.kind, new.reference.as_str()), (Some(Kind::Video), "7007"));
    let voicemail = read(
        r#"{"type":"audio","id":"call.1","timestamp":1790000000000,"audio":{"id":"7008","mime_type":"audio/ogg"}}"#,
    );
    assert_eq!(voicemail.carrier.sent_at, Some(at(1_790_000_000)));
}

#[test]
fn a_message_without_a_number_has_its_user_id() {
    let Update::Media(media) = one(
        r#"{"from_user_id":"BR.1000000000000000001","id":"wamid.B","type":"audio","audio":{"id":"7001","mime_type":"audio/ogg"}}"#,
    ) else {
        panic!("no media")
    };
    assert_eq!(media.carrier.message.user_id.as_deref(), Some("BR.1000000000000000001"));
}

#[test]
fn two_contacts_in_one_change_are_not_mixed_up() {
    let body = meta(
        r#"{"from":"5511999990000","id":"wamid.1","type":"audio","audio":{"id":"1"}},{"from":"4915112345678","id":"wamid.2","type":"audio","audio":{"id":"2"}}"#,
    );
    let body = body.replace(r#""contacts":["#, r#""contacts":[{"profile":{"name":"Ben"},"wa_id":"4915112345678"},"#);
    let names: Vec<_> = parsed(&whatsapp(), &body)
        .into_iter()
        .map(|update| match update {
            Update::Media(media) => media.carrier.message.contact_name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [Some("Ana".to_owned()), Some("Ben".to_owned())]);
}

#[test]
fn what_whatsapp_cannot_deliver_is_rejected_with_a_code_of_its_own() {
    for message in [
        r#"{"type":"unsupported","id":"wamid.U","unsupported":{"type":"media_placeholder"},"errors":[{"code":131060,"title":"x"}]}"#,
        r#"{"type":"unsupported","id":"wamid.U","errors":[{"code":"131060"}]}"#,
        r#"{"type":"unsupported","id":"wamid.U","unsupported":{"type":"image"},"errors":[{"code":131051}]}"#,
        r#"{"type":"unsupported","id":"wamid.U","unsupported":{"type":"gif"}}"#,
        r#"{"type":"video","id":"wamid.U","errors":[{"code":131052,"error_data":{"details":"too big, secret"}}]}"#,
        r#"{"type":"image","id":"wamid.U","image":{"mime_type":"image/jpeg","status":"undownloaded"}}"#,
        r#"{"type":"image","id":"wamid.U","image":{"id":"7001","status":"undownloaded"}}"#,
    ] {
        let (key, kind, data) = event(one(message));
        assert_eq!((key.as_str(), kind.as_str()), ("media.rejected", REJECTED_TYPE), "{message}");
        assert_eq!((&data["code"], &data["stage"]), (&json!("source.undelivered"), &json!("fetch")), "{message}");
        assert!(!data.to_string().contains("secret"), "{data}");
    }
    // Its cause is the id that the received event would have had.
    let (_, _, rejected) = event(one(r#"{"type":"image","id":"wamid.HBgAUDIO1","image":{"status":"undownloaded"}}"#));
    let received = outgoing(&whatsapp(), one(AUDIO), at(0)).expect("an event");
    assert_eq!(rejected["cause"], received.event.id);
    assert_eq!(rejected["media_id"], data(&received)["media_id"]);
}

#[test]
fn what_is_no_file_is_counted_by_its_kind() {
    for (message, why) in [
        (r#"{"type":"text","id":"wamid.T","text":{"body":"hello"}}"#, Ignored::TEXT),
        (r#"{"type":"reaction","id":"wamid.T","reaction":{"message_id":"wamid.X","emoji":"x"}}"#, Ignored::TEXT),
        (r#"{"type":"interactive","id":"wamid.T","interactive":{"type":"button_reply"}}"#, Ignored::INTERACTIVE),
        (r#"{"type":"system","id":"wamid.T","system":{"type":"user_changed_number"}}"#, Ignored::SYSTEM),
        (
            r#"{"type":"unsupported","id":"wamid.T","unsupported":{"type":"poll_creation"},"errors":[{"code":131051}]}"#,
            Ignored::UNKNOWN,
        ),
        (r#"{"type":"unsupported","id":"wamid.T","unsupported":{"type":"reaction"}}"#, Ignored::UNKNOWN),
        (r#"{"type":"hologram","id":"wamid.T","hologram":{}}"#, Ignored::UNKNOWN),
        (r#"{"type":"image","image":{"caption":"no id at all"}}"#, Ignored::ERROR),
        ("7", Ignored::UNKNOWN),
        ("null", Ignored::UNKNOWN),
    ] {
        assert_eq!(one(message), Update::Ignored(why), "{message}");
    }
    let statuses =
        meta_field("messages", r#""statuses":[{"id":"wamid.1","status":"read"},{"id":"wamid.2","status":"sent"}]"#);
    assert_eq!(parsed(&whatsapp(), &statuses), vec![Update::Ignored(Ignored::STATUS); 2]);
    let errors = meta_field("messages", r#""errors":[{"code":130429}]"#);
    assert_eq!(only(&whatsapp(), &errors), Update::Ignored(Ignored::ERROR));
    assert_eq!(only(&whatsapp(), &meta_field("account_update", r#""event":"x""#)), Update::Ignored(Ignored::UNKNOWN));
    assert_eq!(parsed(&whatsapp(), r#"{"object":"whatsapp_business_account","entry":[]}"#), []);
}

#[test]
fn edits_and_revokes_name_the_media_of_the_first_message() {
    let first = event(one(AUDIO)).2;
    let edit = r#"{"type":"edit","id":"wamid.E","from":"5511999990000","timestamp":"1790000100","edit":{"original_message_id":"wamid.HBgAUDIO1","message":{"type":"image","image":{"id":"79","caption":"new text"}}}}"#;
    let (key, kind, data) = event(one(edit));
    assert_eq!((key.as_str(), kind.as_str()), ("message.edited", EDITED_TYPE));
    assert_eq!((&data["media_id"], &data["message"]["caption"]), (&first["media_id"], &json!("new text")));
    assert_eq!(
        (&data["message"]["message_id"], &data["edited_at"]),
        (&json!("wamid.HBgAUDIO1"), &json!("2026-09-21T14:15:00Z"))
    );
    let text = r#"{"type":"edit","id":"wamid.E","edit":{"original_message_id":"wamid.T","message":{"type":"text","text":{"body":"b"}}}}"#;
    assert_eq!(one(text), Update::Ignored(Ignored::TEXT));
    let revoke = r#"{"type":"revoke","id":"wamid.K","timestamp":"1790000200","from":"5511999990000","revoke":{"original_message_id":"wamid.HBgAUDIO1"}}"#;
    let (key, kind, data) = event(one(revoke));
    assert_eq!((key.as_str(), kind.as_str()), ("message.revoked", REVOKED_TYPE));
    assert_eq!((&data["media_id"], &data["message"]["phone"]), (&first["media_id"], &json!("+5511999990000")));
    // Two edits are two events, one edit that is delivered twice is one.
    let id = |message: &str| outgoing(&whatsapp(), one(message), at(0)).expect("an event").event.id;
    assert_eq!(id(edit), id(edit));
    assert_ne!(id(edit), id(&edit.replace("wamid.E", "wamid.E2")));
}

#[test]
fn echoes_and_history_are_taken_where_the_account_asks_for_them() {
    let echo = meta_field(
        "smb_message_echoes",
        r#""message_echoes":[{"from":"15550000001","to":"5511999990000","id":"wamid.EC","type":"image","image":{"id":"7001"}}]"#,
    );
    assert_eq!(only(&whatsapp(), &echo), Update::Ignored(Ignored::OUTBOUND));
    let Update::Media(media) = only(&Account { echoes: true, ..whatsapp() }, &echo) else { panic!("no media") };
    let message = &media.carrier.message;
    assert_eq!((message.direction.as_deref(), message.phone.as_deref()), (Some("outbound"), Some("+5511999990000")));

    let history = meta_field(
        "history",
        r#""history":[{"threads":[{"id":"5511999990000","messages":[{"from":"5511999990000","id":"wamid.H1","type":"image","image":{"id":"7001"}},{"from":"15550000001","to":"5511999990000","id":"wamid.H2","type":"image","image":{"id":"7002"}}]}]}]"#,
    );
    assert_eq!(parsed(&whatsapp(), &history), vec![Update::Ignored(Ignored::HISTORY); 2]);
    let mut old = parsed(&Account { history: true, ..whatsapp() }, &history);
    assert_eq!(old.pop(), Some(Update::Ignored(Ignored::OUTBOUND)));
    // Behind everything that is live.
    assert_eq!(event(old.remove(0)).0, "media.received");
}

#[test]
fn messages_to_numbers_that_are_not_the_accounts_are_left_alone() {
    let account = Account { numbers: vec!["800000000000002".to_owned()], ..whatsapp() };
    assert_eq!(only(&account, &meta(AUDIO)), Update::Ignored(Ignored::OTHER_ACCOUNT));
    let account = Account { numbers: vec!["800000000000001".to_owned()], ..whatsapp() };
    assert!(matches!(only(&account, &meta(AUDIO)), Update::Media(_)));
}

#[test]
fn a_thousand_updates_are_read_to_the_last_entry() {
    let mut messages = vec![r#"{"type":"text","id":"wamid.T","text":{"body":"hello"}}"#.to_owned(); 990];
    messages.extend((0..10).map(|n| AUDIO.replace("wamid.HBgAUDIO1", &format!("wamid.{n}"))));
    let body = meta(&messages.join(","));
    let updates = parsed(&whatsapp(), &body);
    assert_eq!(updates.len(), 1000);
    assert_eq!(updates.iter().filter(|update| matches!(update, Update::Media(_))).count(), 10);
}

#[test]
fn the_handshake_gives_the_challenge_back_to_whoever_knows_the_token() {
    let mut account = whatsapp();
    account.verify_tokens = mediamill::channels::Keys::of_texts(["our-token"]);
    let channel = channel(&account);
    let answer = |query: &str| {
        let url = format!("https://gw.example.test/v1/channels/support?{query}");
        channel.handshake(&Request { is_get: true, url: &url, headers: &[], body: b"" })
    };
    let reply = answer("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=our-token").expect("allowed");
    let reply = reply.expect("a handshake");
    assert_eq!(
        (reply.status, reply.body.as_str(), reply.content_type),
        (200, "1158201444", Some("text/plain; charset=utf-8"))
    );
    for query in [
        "",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=theirs",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=our-token&hub.verify_token=our-token",
        "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=our-token",
        "hub.challenge=1&hub.verify_token=our-token",
        "hub.mode=subscribe&hub.verify_token=our-token",
    ] {
        assert!(answer(query).is_err(), "{query}");
    }
    assert_eq!(channel.handshake(&post(&[], b"")).expect("no handshake"), None);
    let unconfigured = super::channel(&whatsapp());
    let url = "https://gw.example.test/?hub.mode=subscribe&hub.challenge=1&hub.verify_token=";
    assert!(unconfigured.handshake(&Request { is_get: true, url, headers: &[], body: b"" }).is_err());
}

#[test]
fn a_history_of_many_texts_is_taken() {
    let texts = vec![
        r#"{"id":"wamid.A","from":"5511999990000","timestamp":"1790000000","type":"text","text":{"body":"x"}}"#;
        11_000
    ];
    let change = format!(
        r#"{{"field":"messages","value":{{"metadata":{{"phone_number_id":"1"}},"messages":[{}]}}}}"#,
        texts.join(",")
    );
    let body = format!(r#"{{"object":"whatsapp_business_account","entry":[{{"changes":[{change}]}}]}}"#);
    let updates = parsed(&account(Provider::WhatsappCloud, "k"), &body);
    assert_eq!(updates.len(), 11_000);
    assert!(updates.iter().all(|update| matches!(update, Update::Ignored(_))));
}
