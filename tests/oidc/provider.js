// A real OpenID Connect provider for tests/it/sso.rs. Whoever `login_hint` names is signed in without being asked.
//
//   node provider.js PATH-OF-OIDC-PROVIDER PORT NOW [thin]
//
// It prints its port. Its clock stands at NOW (milliseconds) until a test moves it. `thin`: what a scope brings is at
// the UserInfo endpoint only. The tests steer it below /test/.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

const [library, port, start, mode] = process.argv.slice(2);

let now = Number(start);
globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length > 0) super(...given);
    else super(now);
  }

  static now() {
    return now;
  }
};

const { Provider } = await import(library);

const accounts = new Map();
const claimsOf = (sub) => ({
  sub,
  email: `${sub}@contoso.example`,
  email_verified: true,
  name: `${sub} of the provider`,
  roles: ['admins'],
  ...accounts.get(sub),
});

let keys = 0;
const newKey = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  keys += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${keys}`, alg: 'RS256', use: 'sig' };
};

const back = 'http://localhost:8080/v1/auth/sso/callback';
const code = { grant_types: ['authorization_code'], response_types: ['code'] };
const clients = [
  { ...code, client_id: 'desk', client_secret: 'a secret: with % and +', redirect_uris: [back] },
  { ...code, client_id: 'posting-desk', client_secret: 'secret', redirect_uris: [back], token_endpoint_auth_method: 'client_secret_post' },
  { ...code, client_id: 'public-desk', redirect_uris: [back], token_endpoint_auth_method: 'none' },
  { ...code, client_id: 'portal', redirect_uris: ['http://localhost:8081/'], token_endpoint_auth_method: 'none' },
];

const hour = 60 * 60;
const provide = (issuer) => {
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys: [newKey()] },
    cookies: { keys: ['the cookies of the tests'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'roles'] },
    conformIdTokenClaims: mode === 'thin',
    pkce: { required: () => true },
    ttl: { AccessToken: 10 * 60, AuthorizationCode: 60, Grant: hour, IdToken: hour, Interaction: hour, Session: hour },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'desk',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, accountId) => ({ accountId, claims: () => claimsOf(accountId) }),
    extraTokenClaims: (ctx, token) => (token.accountId ? claimsOf(token.accountId) : undefined),
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  return provider;
};

const interact = async (provider, request, response) => {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  const accountId = params.login_hint ?? session?.accountId;
  if (accountId === 'nobody') {
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId } });
  }
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, 'desk');
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
};

const body = async (request) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text === '' ? undefined : JSON.parse(text);
};

let provider;
const asked = {};

const steer = async (request, response, path) => {
  const [what, name] = path.split('/');
  const given = await body(request);
  if (what === 'accounts') accounts.set(name, given);
  if (what === 'clock') now = given;
  if (what === 'rotate') provider = provide(provider.issuer);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(asked));
};

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const answer = async () => {
    if (pathname.startsWith('/test/')) return steer(request, response, pathname.slice('/test/'.length));
    if (pathname.startsWith('/interaction/')) return interact(provider, request, response);
    asked[pathname] = (asked[pathname] ?? 0) + 1;
    return provider.callback()(request, response);
  };
  answer().catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end();
  });
});

server.listen(Number(port), '127.0.0.1', () => {
  provider = provide(`http://127.0.0.1:${server.address().port}`);
  console.log(server.address().port);
});
// It ends with whoever started it.
process.stdin.on('end', () => process.exit()).resume();
