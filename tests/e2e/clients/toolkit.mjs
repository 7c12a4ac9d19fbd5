// Does what an agent would do with @posthog/agent-toolkit, and prints the answers of its tools as JSON.
import { PostHogAgentToolkit, getToolsFromContext } from "@posthog/agent-toolkit";

const toolkit = new PostHogAgentToolkit({
  posthogApiToken: process.env.POSTHOG_API_KEY,
  posthogApiBaseUrl: process.env.POSTHOG_HOST,
});
const context = toolkit.getContext();
const tools = new Map((await getToolsFromContext(context)).map((tool) => [tool.name, tool]));

async function use(name, parameters) {
  const tool = tools.get(name);
  const { content } = await tool.handler(context, tool.schema.parse(parameters ?? {}));
  try {
    return JSON.parse(content[0].text);
  } catch {
    return content[0].text;
  }
}

const series = [{ kind: "EventsNode", event: "$pageview", custom_name: "Views", math: "total" }];
const views = { kind: "InsightVizNode", source: { kind: "TrendsQuery", dateRange: { date_from: "-7d" }, series } };
const said = {};
said.tools = [...tools.keys()];
said.projects = await use("projects-get");
said.organizations = await use("organizations-get");
said.organization = await use("organization-details-get");
said.created = await use("insight-create-from-query", {
  data: { name: "Views", query: views, favorited: false, description: "per day", tags: ["growth"] },
});
const insightId = String(said.created.short_id);
said.got = await use("insight-get", { insightId });
said.updated = await use("insight-update", { insightId, data: { name: "Page views", query: views } });
said.listed = await use("insights-get-all", { data: { search: "page", limit: 10 } });
said.queried = await use("insight-query", { insightId });
said.run = await use("query-run", { query: views });
said.dashboard = await use("dashboard-create", {
  data: { name: "Board", description: "of views", pinned: false, tags: ["growth"] },
});
const dashboardId = said.dashboard.id;
said.added = await use("add-insight-to-dashboard", { data: { insightId, dashboardId } });
said.board = await use("dashboard-get", { dashboardId });
said.renamed = await use("dashboard-update", { dashboardId, data: { name: "Growth" } });
said.boards = await use("dashboards-get-all", {});
said.events = await use("event-definitions-list", {});
said.properties = await use("properties-list", { type: "event", eventName: "$pageview" });
said.unboarded = await use("dashboard-delete", { dashboardId });
said.deleted = await use("insight-delete", { insightId });
said.left = await use("insights-get-all", {});
console.log(JSON.stringify(said));
