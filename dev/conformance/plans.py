"""The plans that are run, and the configuration of each: the clients, and what the suite's own browser does on which page."""

CODE = {"client_registration": "static_client", "response_type": "code"}
STATIC = {"server_metadata": "discovery", "client_registration": "static_client"}
# The name here, the suite's plan, its variant, the client.
PLANS = [
    ("config", "oidcc-config-certification-test-plan", {}, "basic"),
    ("basic", "oidcc-basic-certification-test-plan", STATIC, "basic"),
    ("formpost", "oidcc-formpost-basic-certification-test-plan", STATIC, "basic"),
    ("logout", "oidcc-rp-initiated-logout-certification-test-plan", CODE, "basic"),
    ("backchannel", "oidcc-backchannel-rp-initiated-logout-certification-test-plan", CODE, "backchannel"),
    ("full", "oidcc-test-plan", {**CODE, "client_auth_type": "private_key_jwt", "response_mode": "default"}, "jwt"),
]


def configuration(client, issuer, kakao, secret, keys):
    """Of a plan, for the suite. `keys` are the private JWKS by name."""
    authorize, logout = issuer + "/oauth/authorize*", issuer + "/oauth/logout*"

    def shows(words, optional=False):
        # The page says this; it stands in for the screenshot that a person would upload. The module then ends with REVIEW.
        return ["wait", "xpath", "//*", 10, words, "update-image-placeholder" + ("-optional" if optional else "")]

    def login(screenshot=False):
        # The simulated Kakao asks who it is, unless the browser's own session was enough.
        pick = ["click", "id", "person-all-consents"]
        return {"match": authorize, "tasks": [
            {"task": "Log in at Kakao", "match": kakao + "/oauth/authorize*", "optional": True,
             "commands": [shows("Pick who logs in", True), pick] if screenshot else [pick]},
            {"task": "Back at the client", "match": "*/test/*/callback*", "commands": [["wait", "id", "submission_complete", 10]]}]}

    def page(where, words):
        return {"match": where, "tasks": [{"task": "A page of the service", "match": where, "commands": [shows(words)]}]}

    def confirmed(words):
        return {"match": logout, "tasks": [
            {"task": "Confirm", "match": logout, "commands": [["click", "css", "form button"]]},
            {"task": "Done", "match": logout, "commands": [shows(words)]}]}

    # A choice (regular expression): a logout that cannot be done as asked may end on an error page or ask the person.
    refused = "This login request is not valid"
    asked_or_refused = "Log out\\?|is not valid|logged out"
    registered = {"client_id": "conformance-" + client, "client_secret": secret}
    second, by_post = {**registered, "client_id": "conformance-second"}, {**registered, "client_id": "conformance-post"}
    if client == "jwt":
        registered = by_post = {"client_id": "conformance-jwt-one", "jwks": keys["one"]}
        second = {"client_id": "conformance-jwt-two", "jwks": keys["two"]}

    return {
        "alias": "kakao-auth",
        "description": "kakao-auth",
        # The member for our revocation feed is a vendor's own, as RFC 8414 §2 allows: the suite is told that it is meant.
        "server": {
            "discoveryUrl": issuer + "/.well-known/openid-configuration",
            "allow_unexpected_metadata_fields": ["kakao_auth_revocation_feed"],
        },
        "client": registered,
        "client2": second,
        "client_secret_post": by_post,
        "browser": [login(), {"match": logout, "tasks": [{"task": "Back at the client", "match": "*/test/*/post_logout_redirect*"}]}],
        "override": {name: {"browser": browser} for name, browser in {
            "oidcc-prompt-login": [login(True)],
            "oidcc-max-age-1": [login(True)],
            "oidcc-response-type-missing": [login()],
            "oidcc-ensure-registered-redirect-uri": [page(authorize, refused)],
            "oidcc-redirect-uri-query-added": [page(authorize, refused)],
            "oidcc-ensure-redirect-uri-in-authorization-request": [page(authorize, refused)],
            "oidcc-ensure-request-object-with-redirect-uri": [page(authorize, refused)],
            "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": [login(), page(logout, asked_or_refused)],
            "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": [login(), page(logout, asked_or_refused)],
            "oidcc-rp-initiated-logout-modified-id-token-hint": [login(), page(logout, asked_or_refused)],
            "oidcc-rp-initiated-logout-bad-id-token-hint": [login(), page(logout, asked_or_refused)],
            "oidcc-rp-initiated-logout-no-id-token-hint": [login(), page(logout, "Log out\\?")],
            "oidcc-rp-initiated-logout-no-params": [login(), confirmed("You are logged out")],
            "oidcc-rp-initiated-logout-only-state": [login(), confirmed("You are logged out")],
            "oidcc-rp-initiated-logout-no-post-logout-redirect-uri": [login(), page(logout, "You are logged out")],
        }.items()},
    }
