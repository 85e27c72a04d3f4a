-- How a connection is, by its conditions.
local function find(wanted)
  for _, condition in ipairs(obj.status.conditions or {}) do
    if condition.type == wanted then
      return condition
    end
  end
  return nil
end

-- What stands there was said of an earlier spec, or nothing was said yet.
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this yet" }
end

local reconciling = find("Reconciling")
if reconciling ~= nil and reconciling.status == "True" then
  return { status = "Progressing", message = reconciling.message }
end
local stalled = find("Stalled")
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
local ready = find("Ready")
if ready ~= nil and ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = "the operator has said nothing of this yet" }
