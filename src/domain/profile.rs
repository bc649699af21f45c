//! What a person shares: the one description of the profile's fields. Columns, claims, consent items, what is erased and what
//! is compared all follow from it; a new field of Kakao's is one line here, its reading in `kakao::wire`, and a column.

/// Declares the fields: the variant, the member of [`Profile`] (also its column, its claim and its JSON name), the scope that
/// tells it in ID tokens and at userinfo (OpenID Connect Core §5.4), and the consent items of Kakao's that give it.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:ident: scope $scope:expr, consent $items:expr;)*) => {
        /// A field of the profile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProfileField {
            $($(#[$doc])* $variant,)*
        }

        impl ProfileField {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of the claim, of the column, and of the member in our JSON.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                }
            }

            /// The scope that tells it in ID tokens and at userinfo; without one only a client's `claims` setting does.
            pub(crate) const fn scope(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => $scope,)*
                }
            }

            /// The consent items of Kakao's that give it: with each of them withdrawn it is gone.
            pub(crate) const fn consent_items(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => $items,)*
                }
            }
        }

        /// What Kakao tells about a person at a login. Everything is optional: consent may be missing, withdrawn, or not
        /// offered at all, and a person without any of it is an ordinary user.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Profile {
            $($(#[$doc])* pub $name: Option<String>,)*
            /// Whether the address is valid **and** verified at Kakao. Goes with [`ProfileField::Email`].
            pub email_verified: bool,
        }

        impl Profile {
            /// The value of a field.
            pub(crate) fn get(&self, field: ProfileField) -> Option<&str> {
                match field {
                    $(ProfileField::$variant => self.$name.as_deref(),)*
                }
            }

            /// Sets the value of a field.
            pub(crate) fn set(&mut self, field: ProfileField, value: Option<String>) {
                match field {
                    $(ProfileField::$variant => self.$name = value,)*
                }
            }
        }
    };
}

fields! {
    /// Kakao nickname.
    Nickname nickname: scope Some("profile"), consent &["profile_nickname", "profile"];
    /// Legal name, where the app may ask for it.
    Name name: scope Some("profile"), consent &["name"];
    /// URL of the profile picture, https.
    Picture picture: scope Some("profile"), consent &["profile_image", "profile"];
    /// E-mail address. Never a key: it may change hands.
    Email email: scope Some("email"), consent &["account_email"];
    /// Phone number, as Kakao writes it.
    PhoneNumber phone_number: scope Some("phone"), consent &["phone_number"];
    /// `female` or `male`.
    Gender gender: scope Some("profile"), consent &["gender"];
    /// Date of birth in the Gregorian calendar as far as it is shared: `2000-05-31`, `0000-05-31`, `2000` (OpenID Connect Core §5.1).
    Birthdate birthdate: scope Some("profile"), consent &["birthday", "birthyear"];
    /// Age range, as Kakao writes it: `20~29`.
    AgeRange age_range: scope None, consent &["age_range"];
}

impl ProfileField {
    /// The fields that go when these consent items are withdrawn; all of them if none is named.
    pub(crate) fn withdrawn(items: &[String]) -> Vec<Self> {
        let gone = |field: &Self| {
            items.is_empty() || items.iter().any(|item| field.consent_items().contains(&item.as_str()))
        };
        Self::ALL.iter().copied().filter(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_goes_and_all_if_nothing_is() {
        assert_eq!(ProfileField::withdrawn(&["account_email".into()]), [ProfileField::Email]);
        let profile = ProfileField::withdrawn(&["profile".into()]);
        assert_eq!(profile, [ProfileField::Nickname, ProfileField::Picture]);
        assert_eq!(ProfileField::withdrawn(&[]), ProfileField::ALL);
        assert!(ProfileField::withdrawn(&["talk_message".into()]).is_empty());
    }

    #[test]
    fn a_field_has_a_name_of_its_own_and_holds_what_was_set() {
        for field in ProfileField::ALL {
            assert_eq!(ProfileField::ALL.iter().filter(|other| other.name() == field.name()).count(), 1);
            let mut profile = Profile::default();
            profile.set(*field, Some("value".into()));
            let set: Vec<_> =
                ProfileField::ALL.iter().filter(|other| profile.get(**other).is_some()).collect();
            assert_eq!(set, [field]);
        }
    }
}
