/** For commands that work on what is in the store alone: to them it is all one whether a tenant, or its server, sleeps. */
export const ofArchives = { reachesServers: false, takesSleeping: true, asksStates: false } as const;
