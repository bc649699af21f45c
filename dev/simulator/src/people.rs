//! The people who can log in: every shape of consent that a service meets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What Kakao says about a person's e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Email {
    /// The app does not have the consent item.
    NotConfigured,
    /// The person did not agree.
    NeedsAgreement,
    /// The person agreed.
    Agreed {
        /// The address.
        address: String,
        /// It still belongs to this account.
        valid: bool,
        /// It was verified.
        verified: bool,
    },
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Names the person in the control API.
    pub slug: String,
    /// The member number.
    pub id: i64,
    /// For the page: what is special about this person, Korean and English.
    pub about: [String; 2],
    /// Kakao nickname.
    pub nickname: Option<String>,
    /// File name of the picture.
    pub picture: Option<String>,
    /// The address.
    pub email: Email,
    /// Age range: `20~29`.
    #[serde(default)]
    pub age_range: Option<String>,
    /// Phone number.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// Legal name.
    #[serde(default)]
    pub name: Option<String>,
    /// `female` or `male`.
    #[serde(default)]
    pub gender: Option<String>,
    /// `YYYY`
    #[serde(default)]
    pub birthyear: Option<String>,
    /// `MMDD`
    #[serde(default)]
    pub birthday: Option<String>,
    /// `SOLAR` or `LUNAR`; goes with the birthday.
    #[serde(default)]
    pub birthday_type: Option<String>,
    /// Kakao refuses the person for being under 14.
    #[serde(default)]
    pub under_14: bool,
    /// The answer has no `kakao_account` at all.
    #[serde(default)]
    pub no_account: bool,
    /// Each login is somebody new.
    #[serde(default)]
    pub new_each_time: bool,
}

impl Person {
    fn new(slug: &str, id: i64, nickname: &str, about: [&str; 2]) -> Self {
        Self {
            slug: slug.to_owned(),
            id,
            about: about.map(str::to_owned),
            nickname: Some(nickname.to_owned()),
            picture: Some(format!("img_{id}")),
            email: Email::Agreed { address: format!("{slug}@example.com"), valid: true, verified: true },
            age_range: None,
            phone_number: None,
            name: None,
            gender: None,
            birthyear: None,
            birthday: None,
            birthday_type: None,
            under_14: false,
            no_account: false,
            new_each_time: false,
        }
    }

    /// The consent items that the person agrees to without being asked for more.
    pub(crate) fn items(&self) -> Vec<&'static str> {
        if self.no_account {
            return Vec::new();
        }
        [
            ("profile_nickname", self.nickname.is_some()),
            ("profile_image", self.picture.is_some()),
            ("account_email", matches!(self.email, Email::Agreed { .. })),
            ("age_range", self.age_range.is_some()),
            ("phone_number", self.phone_number.is_some()),
            ("name", self.name.is_some()),
            ("gender", self.gender.is_some()),
            ("birthyear", self.birthyear.is_some()),
            ("birthday", self.birthday.is_some()),
        ]
        .into_iter()
        .filter(|(_, has)| *has)
        .map(|(item, _)| item)
        .collect()
    }

    /// What is left of the person once these items are withdrawn.
    pub(crate) fn without(mut self, withdrawn: &BTreeSet<String>) -> Self {
        let gone = |item: &str| withdrawn.contains(item);
        if gone("profile_nickname") {
            self.nickname = None;
        }
        if gone("profile_image") {
            self.picture = None;
        }
        if gone("account_email") && self.email != Email::NotConfigured {
            self.email = Email::NeedsAgreement;
        }
        self
    }

    /// The address, if the person shares one.
    pub fn email_address(&self) -> Option<&str> {
        match &self.email {
            Email::Agreed { address, .. } => Some(address),
            _ => None,
        }
    }

    /// The address that an ID token carries: only a valid and verified one.
    pub(crate) fn trusted_email(&self) -> Option<&str> {
        match &self.email {
            Email::Agreed { address, valid: true, verified: true } => Some(address),
            _ => None,
        }
    }

    pub(crate) fn picture_url(&self, secure: bool, size: &str) -> Option<String> {
        let scheme = if secure { "https" } else { "http" };
        self.picture.as_ref().map(|name| format!("{scheme}://k.kakaocdn.net/dn/simulated/{name}_{size}.jpg"))
    }

    /// The body of `/v2/user/me`. What is not there is left out, never null.
    pub(crate) fn me(
        &self,
        id: i64,
        secure: bool,
        connected_at: &str,
        withdrawn: &BTreeSet<String>,
    ) -> Value {
        let mut body = Map::new();
        body.insert("id".into(), json!(id));
        body.insert("connected_at".into(), json!(connected_at));
        if self.no_account {
            return Value::Object(body);
        }
        let mut account = Map::new();
        let mut profile = Map::new();
        account.insert("profile_nickname_needs_agreement".into(), json!(self.nickname.is_none()));
        account.insert("profile_image_needs_agreement".into(), json!(self.picture.is_none()));
        if let Some(nickname) = &self.nickname {
            profile.insert("nickname".into(), json!(nickname));
            profile.insert("is_default_nickname".into(), json!(false));
        }
        if let (Some(small), Some(large)) =
            (self.picture_url(secure, "110x110"), self.picture_url(secure, "640x640"))
        {
            profile.insert("thumbnail_image_url".into(), json!(small));
            profile.insert("profile_image_url".into(), json!(large));
            profile.insert("is_default_image".into(), json!(false));
        }
        if !profile.is_empty() {
            account.insert("profile".into(), Value::Object(profile));
        }
        match &self.email {
            Email::NotConfigured => {}
            Email::NeedsAgreement => drop(account.insert("email_needs_agreement".into(), json!(true))),
            Email::Agreed { address, valid, verified } => {
                account.insert("email_needs_agreement".into(), json!(false));
                account.insert("is_email_valid".into(), json!(valid));
                account.insert("is_email_verified".into(), json!(verified));
                account.insert("email".into(), json!(address));
            }
        }
        self.put_items(&mut account, withdrawn);
        body.insert("kakao_account".into(), Value::Object(account));
        Value::Object(body)
    }

    /// The items that are a text, each with its flag.
    fn put_items(&self, account: &mut Map<String, Value>, withdrawn: &BTreeSet<String>) {
        for (item, value) in [
            ("age_range", &self.age_range),
            ("phone_number", &self.phone_number),
            ("name", &self.name),
            ("gender", &self.gender),
            ("birthyear", &self.birthyear),
            ("birthday", &self.birthday),
        ] {
            if let Some(value) = value {
                let missing = withdrawn.contains(item);
                account.insert(format!("{item}_needs_agreement"), json!(missing));
                if !missing {
                    account.insert(item.into(), json!(value));
                }
            }
        }
        if let Some(kind) = self.birthday_type.as_ref().filter(|_| account.contains_key("birthday")) {
            account.insert("birthday_type".into(), json!(kind));
            account.insert("is_leap_month".into(), json!(false));
        }
    }
}

/// Everybody, as at the start.
pub fn everybody() -> Vec<Person> {
    [by_consent(), by_account()].concat()
}

/// People who differ in what they agreed to and in what their e-mail address is worth.
fn by_consent() -> Vec<Person> {
    let address =
        |address: &str, valid, verified| Email::Agreed { address: address.to_owned(), valid, verified };
    vec![
        Person {
            age_range: Some("20~29".to_owned()),
            ..Person::new(
                "all-consents",
                4_412_345_678,
                "김하늘",
                ["모든 항목에 동의", "agreed to everything"],
            )
        },
        Person {
            email: Email::NeedsAgreement,
            ..Person::new("no-email", 4_412_345_679, "이바다", ["이메일 미동의", "did not agree to e-mail"])
        },
        Person {
            no_account: true,
            email: Email::NotConfigured,
            ..Person::new(
                "no-account",
                4_412_345_680,
                "정보 없음",
                ["회원번호만 제공", "a member number and nothing else"],
            )
        },
        Person {
            email: address("unverified@example.com", true, false),
            ..Person::new(
                "email-unverified",
                4_412_345_681,
                "박노을",
                ["이메일 미인증", "e-mail not verified"],
            )
        },
        Person {
            email: address("taken@example.com", false, true),
            ..Person::new(
                "email-invalid",
                4_412_345_682,
                "최구름",
                ["이메일 무효", "e-mail no longer theirs"],
            )
        },
    ]
}

/// People who differ in what they show and in what their account is.
fn by_account() -> Vec<Person> {
    vec![
        Person {
            nickname: None,
            picture: None,
            ..Person::new("no-profile", 4_412_345_683, "", ["프로필 미동의", "did not agree to the profile"])
        },
        Person {
            under_14: true,
            ..Person::new("under-14", 4_412_345_684, "강새싹", ["만 14세 미만", "under 14: Kakao refuses"])
        },
        Person {
            new_each_time: true,
            ..Person::new(
                "new-each-time",
                5_000_000_000,
                "새 사람",
                ["매번 새로운 회원", "somebody new each time"],
            )
        },
        Person::new(
            "long-id",
            1_376_016_924_429_759_228,
            "긴번호",
            ["19자리 회원번호", "a member number of 19 digits"],
        ),
    ]
}
