-- Requests of many visitors in turn: nobody's browser asks sixteen times at once.
-- Arguments: the path, and a file with a Cookie header in each line.

local requests, place = {}, 0

function init(arguments)
    for line in io.lines(arguments[2]) do
        requests[#requests + 1] = wrk.format("GET", arguments[1], { ["Host"] = "localhost", ["Cookie"] = line })
    end
end

function request()
    place = place % #requests + 1
    return requests[place]
end
