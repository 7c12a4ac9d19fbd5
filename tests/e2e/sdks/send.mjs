// Sends a few events by the official Node SDK: node send.mjs HOST TOKEN
import { PostHog } from 'posthog-node'

const [host, token] = process.argv.slice(2)
const sdk = new PostHog(token, { host, flushAt: 20, flushInterval: 100, personalApiKey: process.env.INSIGHTLOG_KEY })
for (let n = 0; n < 50; n++) {
  sdk.capture({ distinctId: `node-${n % 5}`, event: 'order placed', properties: { n, amount: 9.5 } })
}
sdk.capture({
  distinctId: 'node-0',
  event: 'order shipped',
  timestamp: new Date(Date.now() - 3600_000),
  uuid: '01890a5d-ac96-774b-bcce-b302099a8057',
  groups: { organization: 'acme' },
})
sdk.identify({ distinctId: 'node-0', properties: { email: 'node@example.com' } })
sdk.alias({ distinctId: 'node-0', alias: 'node-0-before' })
sdk.groupIdentify({ groupType: 'organization', groupKey: 'acme', properties: { plan: 'pro' } })
const flags = await sdk.getAllFlags('node-0')
await sdk.shutdown()
console.log(JSON.stringify({ flags }))
