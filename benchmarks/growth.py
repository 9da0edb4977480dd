def section(*a):
    return "todo"
