-- What can still be done about an ExportJob: nothing once it has ended or is being deleted, but for
-- a look.
local status = obj.status or {}
local over = status.completionTime ~= nil or obj.metadata.deletionTimestamp ~= nil
local suspended = obj.spec.suspend == true
local cancelled = obj.spec.cancel == true

local actions = {}
actions["suspend"] = { ["disabled"] = over or suspended or cancelled }
actions["resume"] = { ["disabled"] = over or not suspended or cancelled }
actions["cancel"] = { ["disabled"] = over or cancelled }
actions["reconcile"] = { ["disabled"] = false }
return actions
