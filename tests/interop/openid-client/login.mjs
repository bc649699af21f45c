// openid-client with its default options: discovers, logs in, refreshes, introspects, revokes, logs out.
// ISSUER is the public address, BASE where it is reached here; KAKAO is the simulated Kakao.
import assert from 'node:assert/strict';
import * as client from 'openid-client';

const { ISSUER, BASE, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, BYE } = process.env;
const reach = (url) => String(url).replace(ISSUER, BASE);
const customFetch = (url, options) => fetch(reach(url), options);

// A browser: keeps cookies and follows redirects until the client's own address.
const cookies = new Map();
async function browse(start, end) {
  let url = reach(start);
  for (let i = 0; i < 6; i += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const reply = await fetch(url, { redirect: 'manual', headers: cookie ? { cookie } : {} });
    for (const line of reply.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const target = reply.headers.get('location');
    assert(target, `no redirect but ${reply.status} at ${url}`);
    if (target.startsWith(end)) return new URL(target);
    url = reach(target);
  }
  throw new Error('a loop of redirects');
}

async function logIn(config, extra = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid profile email',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    ...extra,
  });
  const landed = await browse(url.href, REDIRECT_URI);
  return client.authorizationCodeGrant(config, landed, {
    pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true,
  });
}

const options = { [client.customFetch]: customFetch };
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, options);
const tokens = await logIn(config);
const { sub } = tokens.claims();
const person = await client.fetchUserInfo(config, tokens.access_token, sub);
assert.equal(person.sub, sub);
assert(person.nickname && person.email, 'the profile and the address');
console.log('logged in and read userinfo');

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
assert.equal((await client.tokenIntrospection(config, refreshed.access_token)).active, true);
console.log('refreshed and introspected');

const silent = await logIn(config, { prompt: 'none', id_token_hint: tokens.id_token, max_age: '3600' });
assert.equal(silent.claims().sub, sub);
console.log('logged in without a page');

const end = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token, post_logout_redirect_uri: BYE, state: 'bye',
});
assert.equal((await browse(end.href, BYE)).searchParams.get('state'), 'bye');
assert.equal((await client.tokenIntrospection(config, refreshed.access_token)).active, false);
await assert.rejects(client.refreshTokenGrant(config, refreshed.refresh_token), { error: 'invalid_grant' });
await assert.rejects(logIn(config, { prompt: 'none' }), { error: 'login_required' });
console.log('logged out');

const again = await logIn(config);
await client.tokenRevocation(config, again.refresh_token);
assert.equal((await client.tokenIntrospection(config, again.access_token)).active, false);
console.log('revoked');

// A page without a server: public, PKCE, nothing else.
const spa = await client.discovery(new URL(ISSUER), 'spa', undefined, client.None(), options);
const page = await logIn(spa);
await client.tokenRevocation(spa, (await client.refreshTokenGrant(spa, page.refresh_token)).refresh_token);
console.log('a public client logged in, refreshed and revoked');

// A backend service that acts for itself, by Basic.
const basic = client.ClientSecretBasic(CLIENT_SECRET);
const backend = await client.discovery(new URL(ISSUER), 'service', undefined, basic, options);
const own = await client.clientCredentialsGrant(backend, { scope: 'orders:read' });
assert.equal((await client.tokenIntrospection(backend, own.access_token)).scope, 'orders:read');
console.log('a service got a token of its own');
